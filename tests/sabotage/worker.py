"""Run pytest again and again, each time in a fork of a process that has imported the libraries.

Importing them takes longer than most tests. Each line of standard input is a JSON object: the
arguments of pytest and the seconds after which it is killed. Each is answered with a line: the exit
code, which is negative after a kill.
"""

import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import pytest

# Nothing that reads the settings or imports the site's code, from which a defence is taken out.
LIBRARIES = (
    "django.contrib.admin.sites",
    "django.db.backends.sqlite3.base",
    "django.test",
    "jsonschema",
    "jwt",
    "playwright.sync_api",
    "redis",
    "rest_framework.serializers",
    "ua_parser_builtins.matchers",
    "webauthn",
)


def main() -> None:
    """Answer each line until standard input ends."""
    sys.path.insert(0, str(Path.cwd()))
    for library in LIBRARIES:
        import_module(library)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def run(args: list[str], seconds: int) -> None:
    """Run pytest silently in this process, and end it."""
    signal.alarm(seconds)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os._exit(pytest.main(args))


if __name__ == "__main__":
    main()
