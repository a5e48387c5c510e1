"""Apps, which OAuth calls clients: their fields, keys, authentication and registration."""
