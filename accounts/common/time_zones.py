"""Time zones that people live in, by their names in the IANA database."""

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DEFAULT = "UTC"
# The database holds more names: of offsets, of countries, of files.
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
    """All of them for a select, the places of an area together."""
    groups: list[Group] = [(label, _places(area)) for area, label in AREAS.items()]
    return [(DEFAULT, _("My device’s own, or UTC")), *groups]


def is_offered(name: str) -> bool:
    """Whether it's one of them."""
    return name == DEFAULT or (name.partition("/")[0] in AREAS and name in _names())


def zone(name: str) -> tzinfo:
    """The time zone of that name; UTC if this machine doesn't know it (any more)."""
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
    """Read once, when first asked for: it opens hundreds of files."""
    return available_timezones()
