"""Mail. An outbox: rows commit with the change, leave after it, at least once."""
