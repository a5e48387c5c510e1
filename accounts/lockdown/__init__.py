"""Lockdown. "This wasn't me": ends everything at once; the owner's mailbox is the key."""
