"""Users: people's accounts. The database keeps usernames and email addresses unique."""
