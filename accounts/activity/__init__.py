"""Activity. What happened to an account, recorded with the change; its owner is told by mail."""
