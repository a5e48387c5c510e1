"""Email addresses of an account: every change is told to the addresses before and after it."""
