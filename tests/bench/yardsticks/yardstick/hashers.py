"""Django's Argon2 hasher with this site's parameters.

With Django's own parameters a sign-in takes ten times as long.
"""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
