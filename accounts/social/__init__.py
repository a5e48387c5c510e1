"""Signing in with others. A provider says who somebody is; the door decides what that opens."""
