"""The server process, plain HTTP beside TLS, and certificates for local development."""
