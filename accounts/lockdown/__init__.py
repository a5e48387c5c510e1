"""Lockdown: owners lock their account, with the link in a notice or while signed in."""
