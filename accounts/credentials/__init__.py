"""Credentials. A new password, from inside or by mail; every other sign-in ends."""
