"""API keys. Shown once, kept as a digest, revocable at once."""
