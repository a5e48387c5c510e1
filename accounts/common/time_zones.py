"""The time zones that people can choose, by their names in the IANA database."""

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DEFAULT = "UTC"
# The areas of the IANA database that people can choose from. Its other names are those of offsets,
# countries and files.
AREAS: dict[str, str | Promise] = {
    "Africa": _("Africa"),
    "America": _("America"),
    "Antarctica": _("Antarctica"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific"),
}

type Group = tuple[str | Promise, list[tuple[str, str]]]


def choices() -> list[tuple[str, str | Promise] | Group]:
    """Return the choices of a select element for time zones, grouped by area."""
    groups: list[Group] = [(label, _places(area)) for area, label in AREAS.items()]
    return [(DEFAULT, _("My device’s own, or UTC")), *groups]


def is_offered(name: str) -> bool:
    """Return whether people can choose the time zone ``name``."""
    return name == DEFAULT or (name.partition("/")[0] in AREAS and name in _names())


def zone(name: str) -> tzinfo:
    """Return the time zone called ``name``, or UTC if this machine has no such time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


@lru_cache(maxsize=len(AREAS))
def _places(area: str) -> list[tuple[str, str]]:
    names = sorted(name for name in _names() if name.startswith(f"{area}/"))
    return [(name, name.removeprefix(f"{area}/").replace("_", " ")) for name in names]


@lru_cache(maxsize=1)
def _names() -> set[str]:
    # Cached, because this call opens hundreds of files.
    return available_timezones()
