"""Pages to change, set and reset the password, which ends every other session."""
