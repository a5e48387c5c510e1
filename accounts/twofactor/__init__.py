"""Second factors: devices of django-otp, encrypted at rest, whose codes work only once."""
