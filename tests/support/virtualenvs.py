"""Python environments beside the site's own, for programs that tests run."""

import subprocess
import sys
from pathlib import Path

from tests.support.env import installed
from tests.support.missing import missing
from tests.support.process import run

SECONDS = 600


def environment(lock: Path) -> Path:
    """Return the folder with the programs of a lock file; install them at the first call.

    The test is skipped if they cannot be installed.
    """

    def install(folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        words = ("-m", "pip", "--quiet", "install", "--require-hashes", "-r", lock)
        done = subprocess.run([folder / "bin/python", *words], check=False, timeout=SECONDS)
        if done.returncode:
            missing("A package of PyPI")

    return installed("python", lock, install) / "bin"
