"""Second factors as devices of django-otp. Secrets are encrypted, and each code works once."""
