"""The project: settings, addresses, the server's entry points."""
