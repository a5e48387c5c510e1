"""The home page and the profile page, and their API calls."""
