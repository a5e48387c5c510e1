"""Lockdown: the owner locks the account at once, by the link of a notice or from inside."""
