"""Make a site whose ``PYTHONPATH`` has this folder hash with the cheapest Argon2 parameters.

Python imports this module at each start, in the server's workers too.
"""

from accounts.passwords import hashers

hashers.Argon2id.memory_cost, hashers.Argon2id.time_cost = 8, 1
# On a busy machine, a thread of low priority would take tens of seconds for a cheap hash.
hashers.NICENESS = 0
