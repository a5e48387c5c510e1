"""Passwords. Argon2id, only so many at once; length and commonness checked, never composition."""
