"""Run Node with packages that are installed from lock files into separate folders."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.missing import find, missing
from tests.support.site import ROOT

SOURCE = ROOT / "tests/support/node"
SCANNERS = ROOT / "tests/support/scanners"
SECONDS = 300


def node() -> Path:
    """Return the path of Node, or skip the test if Node is not installed."""
    return find("node") or missing("Node")


def packages(source: Path = SOURCE) -> Path:
    """Return the folder ``node_modules`` of a lock file; install it at the first call."""
    lock = (source / "package-lock.json").read_bytes()
    folder = ROOT / ".cache" / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        _install(source, folder)
    return folder / "node_modules"


def scan(program: str, question: Any, **env: str) -> Any:
    """Run a scanner program with JSON as input, and return the JSON that it prints.

    The program is copied beside its packages, where Node finds them.
    """
    folder = packages(SCANNERS).parent
    shutil.copy(SCANNERS / program, folder)
    done = subprocess.run(
        [node(), folder / program],
        capture_output=True,
        check=False,
        env=os.environ | env,
        input=json.dumps(question),
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _install(source: Path, folder: Path) -> None:
    """Install into a temporary folder and rename it, since another worker may install too."""
    npm = find("npm") or missing("npm")
    folder.parent.mkdir(exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, draft)
    words: list[str | Path] = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(words, capture_output=True, check=False, cwd=draft, timeout=SECONDS)
    if done.returncode:
        missing("A package of npm")
    with suppress(OSError):
        draft.rename(folder)
    shutil.rmtree(draft, ignore_errors=True)
