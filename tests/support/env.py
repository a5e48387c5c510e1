"""A pytest plugin that sets the environment of tests in process, before Django is loaded.

Settings are read once, when Django starts. So this plugin sets all of them: a new data folder,
and the development defaults for the rest, whatever the developer's shell or ``.env`` say. Each
worker of a parallel run has its own data folder. The workers share a second folder for files that
are expensive to make.
"""

import fcntl
import gc
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from accounts.common.config import Config


def clean(data_dir: Path) -> dict[str, str]:
    """Return the environment of a development site with its data in ``data_dir``.

    All other settings are set to an empty string, which counts as not given. A missing variable
    would be read from ``.env``.
    """
    names = [field.name.upper() for field in fields(Config)]
    empty = dict.fromkeys([*names, *(f"{name}_FILE" for name in names)], "")
    return empty | {"ENVIRONMENT": "development", "DATA_DIR": str(data_dir)}


def shared(name: str, make: Callable[[Path], object], *sources: str) -> Path:
    """Return the file ``name`` of the shared folder. The first worker that needs it makes it.

    ``make`` gets a path and must write the file there. With ``sources``, patterns of files of the
    project, later runs use the file too, until one of those files changes.
    """
    folder = CACHE if sources else SHARED_DIR
    folder.mkdir(parents=True, exist_ok=True)
    file, part = folder / f"{_digest(sources)}{name}", folder / f"{name}.part"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            for outdated in folder.glob(f"*{name}"):
                outdated.unlink()
            make(part)
            part.rename(file)
    return file


def installed(kind: str, lock: Path | bytes, install: Callable[[Path], object]) -> Path:
    """Return the folder with the packages of a lock file. The first worker that needs it makes it.

    ``install`` gets the path of an empty folder.
    """
    content = lock if isinstance(lock, bytes) else lock.read_bytes()
    folder = ROOT / ".cache" / f"{kind}-{hashlib.sha256(content).hexdigest()[:16]}"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            (folder / "ready").touch()
    return folder


def _digest(sources: tuple[str, ...]) -> str:
    files = sorted({file for source in sources for file in ROOT.glob(source)})
    parts = (f"{file.relative_to(ROOT)}\n{file.read_text()}" for file in files)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16] + "-" if sources else ""


ROOT = Path(__file__).resolve().parents[2]
# What a migrated database depends on: libraries have migrations too.
SCHEMA = (
    "accounts/**/*models*.py",
    "accounts/**/migrations/*.py",
    "authsite/settings.py",
    "requirements.txt",
)
CACHE = ROOT / ".cache/tests"
DATA_DIR = Path(tempfile.mkdtemp(prefix="authsite-tests-"))
# Workers inherit the variable from the process that starts them.
SHARED_DIR = Path(os.environ.setdefault("TESTS_SHARED_DIR", str(DATA_DIR)))
os.environ.update(clean(DATA_DIR))


def pytest_configure(config: pytest.Config) -> None:
    # While modules are imported, garbage collection takes a fifth of the time and frees nothing.
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Enable garbage collection for the tests, but leave out what was imported."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(DATA_DIR, ignore_errors=True)
