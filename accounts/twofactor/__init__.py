"""Second factors. django-otp's devices, sealed at rest; each code is good once, under lock."""
