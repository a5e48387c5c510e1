"""Pages to change, set and reset the password. A new password revokes every other session."""
