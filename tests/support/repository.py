"""Make a git repository with the code of this checkout, for programs that install the site."""

import shutil
import subprocess
from pathlib import Path

from tests.support.site import ROOT


def make(folder: Path) -> Path:
    """Copy the files of the checkout, uncommitted ones included, and commit them."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, cwd=ROOT).stdout.decode()
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The site")
    return folder


def commit(folder: Path, message: str) -> None:
    """Commit everything in the folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")


def git(folder: Path, *words: str) -> None:
    own = ["-c", "user.name=alice", "-c", "user.email=alice@example.org"]
    subprocess.run(["git", "-C", folder, *own, *words], check=True, capture_output=True)
