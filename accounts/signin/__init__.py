"""Signs users in.

``signin.policy`` decides which proofs a sign-in requires. ``signin.session`` creates the session.
"""
