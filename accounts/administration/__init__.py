"""The support desk in the admin, where staff find users and help those who cannot sign in."""
