"""Accounts: users, sign-in, sessions and tokens. Its packages import lower layers only."""
