"""Email addresses of an account. Every change is reported to the former and the new addresses."""
