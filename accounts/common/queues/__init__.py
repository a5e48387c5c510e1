"""Delivers the rows of queues to other servers."""
