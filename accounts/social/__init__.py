"""Sign-in with providers such as Google.

A provider identifies the person. The sign-in flow then asks for what the policy requires.
"""
