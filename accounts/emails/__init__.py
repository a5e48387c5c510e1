"""Manages the email addresses of an account.

A change is reported to every email address of the account, including one that is removed.
"""
