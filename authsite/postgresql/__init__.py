"""A PostgreSQL backend for servers: no request waits long for an unresponsive database."""
