"""Creates accounts. A sign-up is pending until its email address is confirmed.

No answer reveals whether an email address is taken.
"""
