"""Prints what one verification of a password costs, in seconds of the processor, by Argon2 alone:
the same build with the same parameters, as many at once as the site lets run."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from accounts.passwords.hashers import Argon2id

PASSWORD = "a long password for measuring"


def main(each: int) -> None:
    """``each`` verifications in each thread."""
    hasher = PasswordHasher(Argon2id.time_cost, Argon2id.memory_cost, Argon2id.parallelism)
    encoded = hasher.hash(PASSWORD)
    threads = os.cpu_count() or 1

    def verify(_thread: int) -> None:
        for _ in range(each):
            hasher.verify(encoded, PASSWORD)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(verify, range(threads)))
        begun = time.process_time()
        list(pool.map(verify, range(threads)))
    sys.stdout.write(f"{(time.process_time() - begun) / (threads * each)}\n")


main(int(sys.argv[1]))
