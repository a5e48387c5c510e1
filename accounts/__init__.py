"""Accounts: who a person is, how one signs in, and where. Its rooms import downwards only."""
