"""Reads the site's own settings from environment variables."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote

from accounts.common import secrets
from accounts.common.config import DATA_DIR, STRICT_DEFAULTS, Config
from accounts.common.config import faults as faults_of

# Shorter names, such as PORT, resemble too many variables of other programs, such as HOST.
SHORTEST = 6


def misspelt(environ: Iterable[str], dotenv: Iterable[str], known: set[str]) -> list[str]:
    """Return a sentence for each misspelt setting.

    Args:
        environ: names of variables of the environment. Other programs have variables there too, so
            only a name in which one character of a setting is wrong is a fault.
        dotenv: names in the file ``.env``, which only this site reads. Each must be a setting.
        known: the names of all settings.
    """
    in_file = {name: meant(name, known) for name in dotenv if name not in known}
    others = sorted(name for name in environ if name not in known | in_file.keys())
    long = {name for name in known if len(name) >= SHORTEST}
    one_wrong = {name: (len(name) - 1) / len(name) for name in others if len(name) >= SHORTEST - 1}
    near = {name: found for name, most in one_wrong.items() if (found := meant(name, long, most))}
    return [
        f"{name} is not a setting{f': did you mean {found}?' if found else ''}"
        for name, found in (in_file | near).items()
    ]


def meant(name: str, known: set[str], alike: float = 0.6) -> str:
    """Return the setting of ``known`` that ``name`` resembles most; empty if none is so similar."""
    return next(iter(get_close_matches(name.upper(), known, n=1, cutoff=alike)), "")


class ConfigError(Exception):
    """The settings are invalid or unsafe. ``faults`` has one line for each problem."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def read(environ: Mapping[str, str], root: Path, dotenv: Iterable[str] = ()) -> Config:
    """Return the settings in ``environ``. A relative ``DATA_DIR`` is relative to ``root``.

    ``dotenv``: the names in the file ``.env``.

    In development, missing secrets are generated once and stored in ``DATA_DIR``.

    Raises:
        ConfigError: some settings are invalid or unsafe; the error lists them.
    """
    named = [name for name, text in environ.items() if text]
    faults = misspelt(named, dotenv, names())
    given: dict[str, Any] = {}
    for setting in fields(Config):
        name = setting.name.upper()
        try:
            text = _text(environ, name, secret=setting.metadata["secret"])
            if text:
                given[setting.name] = setting.metadata["read"](text)
        except (ValueError, OSError) as error:
            faults.append(f"{name} {error}")
    if not faults:
        if given.get("strict") == "on":
            given = {**STRICT_DEFAULTS, **given}
        folder = root / given.get("data_dir", DATA_DIR)
        given |= {"data_dir": folder}
        if "database_url" not in given:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            given["database_url"] = f"sqlite:///{quote(str(folder / 'db.sqlite3'))}"
        if given.get("environment") == "development":
            _supply(given, folder)
        config = Config(**given)
        faults = list(faults_of(config))
    if faults:
        raise ConfigError(faults)
    return config


def names() -> set[str]:
    """Return the name of every setting, and of every setting that names a file with a secret."""
    files = {f"{field.name.upper()}_FILE" for field in fields(Config) if field.metadata["secret"]}
    return files | {field.name.upper() for field in fields(Config)}


def _text(environ: Mapping[str, str], name: str, *, secret: bool) -> str:
    path = environ.get(f"{name}_FILE") if secret else None
    return (Path(path).read_text() if path else environ.get(name, "")).strip()


def _supply(given: dict[str, Any], folder: Path) -> None:
    """Add development values for missing settings, so that one command starts the site."""
    given.setdefault("origin", f"http://localhost:{given.get('port', Config.port)}")
    given.setdefault("secret_key", _stored(folder / "secret_key", secrets.token(48)))
    given.setdefault(
        "encryption_keys", (_stored(folder / "encryption_key", secrets.encryption_key()),)
    )
    given.setdefault("email_url", (folder / "mail").as_uri())
    given.setdefault("mail_from", "authsite@localhost")


def _stored(path: Path, fresh: str) -> str:
    """Return the secret in the file at ``path``. If there is no file, store ``fresh`` in it first.

    The file is written under another name and then linked. Only the first hard link succeeds, so
    that two processes that start simultaneously use the same secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(fresh)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()
