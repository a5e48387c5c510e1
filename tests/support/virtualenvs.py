"""Python environments beside the site's own, for programs that tests run."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.support.missing import missing
from tests.support.site import ROOT

SECONDS = 600


def environment(lock: Path) -> Path:
    """Return the folder with the programs of a lock file; install them at the first call.

    The test is skipped if they cannot be installed.
    """
    folder = ROOT / ".cache" / f"python-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    ready = folder / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = ("-m", "pip", "--quiet", "install", "--require-hashes", "-r", lock)
        done = subprocess.run([folder / "bin/python", *install], check=False, timeout=SECONDS)
        if done.returncode:
            missing("A package of PyPI")
        ready.touch()
    return folder / "bin"
