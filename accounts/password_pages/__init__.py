"""Credentials: people change, set or reset their password; every other session ends."""
