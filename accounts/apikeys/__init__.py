"""API keys, which are shown once, stored as digests, and can be revoked at any time."""
