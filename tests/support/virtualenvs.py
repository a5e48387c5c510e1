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
        # It takes a fifth of the time of pip.
        uv = (sys.executable, "-m", "uv", "--quiet")
        run(*uv, "venv", "--allow-existing", "--python", sys.executable, folder)
        words = ("pip", "install", "--require-hashes", "--python", folder / "bin/python")
        done = subprocess.run([*uv, *words, "-r", lock], check=False, timeout=SECONDS)
        if done.returncode:
            missing("A package of PyPI")

    return installed("python", lock, install) / "bin"
