"""Sessions: where people are signed in. A copy of the database is not enough to use one."""
