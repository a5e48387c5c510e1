"""Python environments beside the site's own, for programs that tests run."""

import fcntl
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
    folder.mkdir(parents=True, exist_ok=True)
    # Another worker may install, too.
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _install(lock, folder)
    return folder / "bin"


def _install(lock: Path, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    install = ("-m", "pip", "--quiet", "install", "--require-hashes", "-r", lock)
    done = subprocess.run([folder / "bin/python", *install], check=False, timeout=SECONDS)
    if done.returncode:
        missing("A package of PyPI")
    (folder / "ready").touch()
