"""``python -m authsite.deliveries``: send webhooks and notices. The server process starts it."""

import os

import django

# While requests need the processor, too, this process gets about a tenth of it.
os.nice(10)
django.setup()

from accounts.common.queues.sender import Program  # noqa: E402 Django must be set up

if __name__ == "__main__":
    Program().run()
