"""Run Node with packages that are installed from lock files into separate folders."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.env import installed
from tests.support.missing import find, missing
from tests.support.process import RUN_SECONDS, run
from tests.support.site import ROOT

SOURCE = ROOT / "tests/support/node"
SCANNERS = ROOT / "tests/support/scanners"


def node() -> Path:
    """Return the path of Node, or skip the test if Node is not installed."""
    return find("node") or missing("Node")


def packages(source: Path = SOURCE) -> Path:
    """Return the folder ``node_modules`` of a lock file; install it at the first call."""

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        npm = find("npm") or missing("npm")
        words: list[str | Path] = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        told: dict[str, Any] = {"capture_output": True, "timeout": RUN_SECONDS}
        if subprocess.run(words, check=False, cwd=folder, **told).returncode:
            missing("A package of npm")

    return installed("node", source / "package-lock.json", install) / "node_modules"


def scan(program: str, question: Any, **env: str) -> Any:
    """Run a scanner program with JSON as input, and return the JSON that it prints.

    The program is copied beside its packages, where Node finds them.
    """
    folder = packages(SCANNERS).parent
    shutil.copy(SCANNERS / program, folder)
    answer = run(node(), folder / program, env=os.environ | env, input=json.dumps(question))
    return json.loads(answer)
