"""A PostgreSQL backend that limits how long a request waits for an unresponsive database."""
