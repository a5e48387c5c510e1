"""Checks of the running deployment, from inside and over the network, for ``doctor``."""
