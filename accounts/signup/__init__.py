"""Creates accounts. A sign-up is pending until its email address is confirmed.

No response reveals whether an email address belongs to an account.
"""
