"""Lockdown: owners lock their account, by the link in a notice or while signed in."""
