"""Sessions of browsers and API clients.

The database contains only digests of session keys and tokens, so nobody can use a session with a
copy of the database.
"""
