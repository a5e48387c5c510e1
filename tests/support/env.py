"""The environment of the in-process tests: pytest loads this plugin before Django.

Settings are read once, when Django starts, so a test run decides everything that they read:
a folder of its own for data, and the defaults of development for the rest, whatever the
shell or a ``.env`` of the developer says. Each worker of a parallel run has its own.
"""

import os
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest

from accounts.common.config import Config


def clean(data_dir: Path) -> dict[str, str]:
    """The environment of a site in development with its data in ``data_dir``.

    Every other setting is there and empty, which counts as not given: a missing one would be
    filled in from a ``.env``.
    """
    names = [field.name.upper() for field in fields(Config)]
    nothing = dict.fromkeys([*names, *(f"{name}_FILE" for name in names)], "")
    return nothing | {"ENVIRONMENT": "development", "DATA_DIR": str(data_dir)}


DATA_DIR = Path(tempfile.mkdtemp(prefix="authsite-tests-"))
# An RSA key takes half a second to make; where it matters, a test makes one.
os.environ.update(clean(DATA_DIR) | {"TOKEN_ALGORITHM": "ES256"})


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(DATA_DIR, ignore_errors=True)
