"""The support desk in the admin: finding users, explaining why they cannot sign in, and helping."""
