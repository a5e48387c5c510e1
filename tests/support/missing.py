"""What to do about a program that a test needs and the machine has not."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest


def find(*names: str, also_in: Iterable[Path] = ()) -> Path | None:
    """The first of these programs on PATH or in these folders."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
        for folder in also_in:
            if (folder / name).is_file():
                return folder / name
    return None


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be skipped (CI)."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is not installed, and REQUIRE_ALL=1 skips nothing", pytrace=False)
    pytest.skip(f"{what} is not installed")
