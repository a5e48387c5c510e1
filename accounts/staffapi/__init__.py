"""The staff API, by which staff and their programs manage the accounts of others."""
