"""Second factors as devices of django-otp. Secrets are encrypted, and a code works only once."""
