"""Invitations: an emailed link with which one person creates an account and joins groups."""
