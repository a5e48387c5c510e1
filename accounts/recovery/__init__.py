"""Locks and unlocks accounts, and removes the second factors of users who have lost all of them."""
