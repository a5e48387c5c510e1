"""Issues access tokens, which are signed JWTs, and refresh tokens, which renew access tokens."""
