"""The staff API: what staff and their programs do with the accounts of others."""
