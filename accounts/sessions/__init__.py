"""Sessions of browsers and API clients.

The database contains only digests of session keys and tokens, so that a copy of the database does
not help to use a session.
"""
