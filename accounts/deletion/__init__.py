"""The deletion of accounts, and how owners undo it."""
