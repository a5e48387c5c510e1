"""Access and refresh tokens: signed JWTs, and opaque tokens that renew them within one session."""
