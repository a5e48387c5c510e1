"""sslyze, by its lock file, in an environment of its own beside the site's."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.support.missing import missing
from tests.support.site import ROOT

LOCK = ROOT / "tests/scanners/requirements.txt"
SECONDS = 300


def sslyze() -> list[str | Path]:
    """The words that start it; it's installed by the first to ask."""
    folder = ROOT / ".cache" / f"sslyze-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python = folder / "bin/python"
    ready = folder / "ready"
    if not ready.exists():
        make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", folder]
        pip: list[str | Path] = [python, "-m", "pip", "--quiet", "install"]
        for command in (make, [*pip, "--require-hashes", "-r", LOCK]):
            if subprocess.run(command, check=False, timeout=SECONDS).returncode:
                missing("sslyze")
        ready.touch()
    return [python, "-m", "sslyze"]
