"""What the tests stand on: services, the real site, an HTTP client, a browser."""
