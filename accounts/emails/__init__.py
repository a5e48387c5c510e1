"""Manages the email addresses of an account.

A change is reported to every address of the account, including a removed one.
"""
