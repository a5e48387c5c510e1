"""API keys: shown once, stored as a digest, revocable at once."""
