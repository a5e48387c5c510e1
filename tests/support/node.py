"""Node, and the packages that tests run in it: by their lock file, in a folder of their own."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.missing import find, missing
from tests.support.site import ROOT

SOURCE = ROOT / "tests/support/node"
SECONDS = 120


def node() -> Path:
    """The program; a test that needs it is skipped without."""
    return find("node") or missing("Node")


def packages() -> Path:
    """The folder ``node_modules`` with what the lock file names; installed by the first to ask."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    folder = ROOT / ".cache" / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        _install(folder)
    return folder / "node_modules"


def _install(folder: Path) -> None:
    """Somewhere else first: another worker of the same run may be at it, too."""
    npm = find("npm") or missing("npm")
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, draft)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            capture_output=True,
            check=False,
            cwd=draft,
            timeout=SECONDS,
        )
        if done.returncode:
            missing("A package of npm")
        ready = Path(draft) / "ready"
        ready.mkdir()
        (Path(draft) / "node_modules").rename(ready / "node_modules")
        try:
            ready.rename(folder)
        except OSError:
            if not folder.exists():
                raise
