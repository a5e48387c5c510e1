"""Make a site whose ``PYTHONPATH`` has this folder hash with the cheapest Argon2 parameters.

Python imports this module at each start, in the server's workers too.
"""

from accounts.passwords.hashers import Argon2id

Argon2id.memory_cost, Argon2id.time_cost = 8, 1
