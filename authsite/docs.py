"""``python -m authsite.docs``: generate the reference pages in ``docs/`` from the code."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.conf import settings

from accounts.activity.events import EVENTS, GROUPS
from accounts.common.config import Config
from accounts.throttle import limits
from accounts.throttle.limits import Limit

FOLDER = Path(__file__).resolve().parents[1] / "docs"

SETTINGS = """\
# Settings

Written by `python -m authsite.docs` from `accounts/common/config.py`. Each is read from the
environment or from `.env` beside `manage.py`; a secret also from the file that `NAME_FILE` names.
In production the site refuses to start on an unsafe or missing one, and names it.

| name | means | default |
| --- | --- | --- |
"""

EVENT_PAGE = """\
# Events

Written by `python -m authsite.docs` from `accounts/activity/events.py`. Each is a row of the
history of an account, which its owner sees at `/accounts/activity/`; some are mailed as well.

| name | group | sentence | mail |
| --- | --- | --- | --- |
"""


LIMITS = """\
| what | at once | then one each |
| --- | --- | --- |
"""
# Finds the table of limits in ``docs/operating.md``.
LIMITS_TABLE = re.compile(rf"{re.escape(LIMITS)}(\|.*\n)*")
UNITS = ((24 * 3600, "day", "days"), (3600, "hour", "h"), (60, "minute", "min"))


def settings_page() -> str:
    """Return the text of ``docs/settings.md``."""
    rows = (
        f"| `{field.name.upper()}`{' (secret)' if field.metadata['secret'] else ''} "
        f"| {field.metadata['means']} | {_shown(field.default)} |\n"
        for field in fields(Config)
    )
    return SETTINGS + "".join(rows)


def events_page() -> str:
    """Return the text of ``docs/events.md``."""
    rows = (
        f"| `{event.name}` | {GROUPS[event.group]} | {event.sentence} "
        f"| {'yes' if event.mail else 'no'} |\n"
        for event in EVENTS.values()
    )
    return EVENT_PAGE + "".join(rows)


def limits_table() -> str:
    """Return the table of rate limits in ``docs/operating.md``."""
    rows = (
        f"| {limit.means} | {limit.burst} | {_interval(limit.refill)} |\n"
        for limit in vars(limits).values()
        if isinstance(limit, Limit)
    )
    return LIMITS + "".join(rows)


def _interval(seconds: float) -> str:
    for length, one, many in UNITS:
        if seconds >= length and seconds % length == 0:
            number = int(seconds // length)
            return one if number == 1 else f"{number} {many}"
    return f"{seconds:g} s"


def _shown(default: Any) -> str:
    if default in ("", (), None):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    # Without translation, the page gets the English sentences of the code.
    settings.configure(USE_I18N=False)
    (FOLDER / "events.md").write_text(events_page())
    (FOLDER / "settings.md").write_text(settings_page())
    operating = FOLDER / "operating.md"
    operating.write_text(LIMITS_TABLE.sub(limits_table(), operating.read_text()))
