"""Serving: the server process, plain HTTP beside TLS, and local certificates for development."""
