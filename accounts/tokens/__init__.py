"""Tokens. Signed with a private key, verified by anyone with the public one; a family of them
dies at once."""
