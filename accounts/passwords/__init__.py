"""Passwords: hashed with Argon2id, checked for length and against lists of common passwords."""
