"""The time zones that people can choose, by their names in the IANA database."""

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

DEFAULT = "UTC"
# The areas of the IANA database that people can choose from. Its other names are those of offsets,
# countries and files.
AREAS = {
    "Africa",
    "America",
    "Antarctica",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
}


def find(typed: str) -> str | None:
    """Return the name of the time zone that ``typed`` names, or None if there is none.

    ``typed`` is a name or a city, such as "America/New_York", "America/New York" or "new york".
    """
    return _by_words().get(typed.strip().replace(" ", "_").casefold())


def is_offered(name: str) -> bool:
    """Return whether people can choose the time zone ``name``."""
    return find(name) == name


def zone(name: str) -> tzinfo:
    """Return the time zone called ``name``, or UTC if this machine has no such time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


@lru_cache(maxsize=1)
def _by_words() -> dict[str, str]:
    """Return the names of the time zones by name and by city, both in lower case.

    A city with several names, such as Buenos Aires, has the same time in all of them.
    """
    # Cached, because this call opens hundreds of files.
    names = sorted(n for n in available_timezones() if n.partition("/")[0] in AREAS)
    cities = {name.rpartition("/")[2].casefold(): name for name in names}
    return cities | {name.casefold(): name for name in [DEFAULT, *names]}
