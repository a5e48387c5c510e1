"""Find the programs that a test needs, and skip the test if one is not installed."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest


def find(*names: str, also_in: Iterable[Path] = ()) -> Path | None:
    """Return the path of the first of some programs on PATH or in folders, or None."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
        for folder in also_in:
            if (folder / name).is_file():
                return folder / name
    return None


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it if REQUIRE_ALL=1 forbids skipping, as in CI."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is not installed, and REQUIRE_ALL=1 skips nothing", pytrace=False)
    pytest.skip(f"{what} is not installed")
