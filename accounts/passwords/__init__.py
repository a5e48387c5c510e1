"""Hashes passwords with Argon2id, and refuses passwords that are short or common."""
