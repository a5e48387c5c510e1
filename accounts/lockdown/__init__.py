"""Lockdown: owners lock their account at once, by the link of a notice or while signed in."""
