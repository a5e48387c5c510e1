"""``python -m authsite.docs``: write the pages of ``docs/`` that the code itself knows."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from accounts.kernel.config import Config

FOLDER = Path(__file__).resolve().parents[1] / "docs"

SETTINGS = """\
# Settings

Written by `python -m authsite.docs` from `accounts/kernel/config.py`. Each is read from the
environment or from `.env` beside `manage.py`; a secret also from the file that `NAME_FILE` names.
In production the site refuses to start on an unsafe or missing one, and names it.

| name | means | default |
| --- | --- | --- |
"""


def settings_page() -> str:
    """``docs/settings.md``."""
    rows = (
        f"| `{field.name.upper()}`{' (secret)' if field.metadata['secret'] else ''} "
        f"| {field.metadata['means']} | {_shown(field.default)} |\n"
        for field in fields(Config)
    )
    return SETTINGS + "".join(rows)


def _shown(default: Any) -> str:
    if default in ("", ()):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    (FOLDER / "settings.md").write_text(settings_page())
