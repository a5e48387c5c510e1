"""Access and refresh tokens: verifiable with the published public keys, revocable as a family."""
