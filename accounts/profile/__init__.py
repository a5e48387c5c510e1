"""Profile: the home page, the profile page and their API calls."""
