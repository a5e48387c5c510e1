"""The servers for HTTPS and plain HTTP, and the TLS certificates for local development."""
