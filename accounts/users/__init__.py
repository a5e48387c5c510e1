"""User accounts. The database ensures that usernames and email addresses are unique."""
