"""Creates accounts. A sign-up is pending until its email address is confirmed.

No response reveals whether an account has an email address.
"""
