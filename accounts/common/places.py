"""Looks up the city or country of an IP address in a location file.

The setting ``GEOIP_FILE`` names the file, which is in MaxMind format and is memory-mapped. If the
setting is empty, the place of every IP address is unknown.
"""

import logging
from functools import cache
from pathlib import Path
from typing import Any

from accounts.common.languages import spoken

log = logging.getLogger(__name__)

# Addresses that a location file is asked for at the start, so that a truncated one is noticed.
PROBES = ("192.0.2.1", "8.8.8.8", "223.255.255.254")


def location_file(text: str) -> str:
    """Return the absolute path of the location file that ``text`` names.

    Raises:
        ValueError: the file is missing, unreadable or not in MaxMind format.
    """
    import maxminddb  # noqa: PLC0415 most sites have no such file

    path = Path(text).absolute()
    try:
        with maxminddb.open_database(path) as reader:
            for ip in PROBES:
                reader.get(ip)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"can't be read: {path}: {reason}") from None
    except (maxminddb.InvalidDatabaseError, ValueError):
        raise ValueError(f"is not a complete file in MaxMind format: {path}") from None
    return str(path)


def name(path: str, ip: str) -> str:
    """Return the city of ``ip``, or else its country, in the language of the reader.

    ``path`` is the location file. Returns an empty string if the place is unknown.
    """
    if not path or not ip:
        return ""
    try:
        found = _reader(path).get(ip)
    # RuntimeError includes maxminddb's InvalidDatabaseError.
    except (RuntimeError, ValueError) as error:
        log.error("GEOIP_FILE can't be searched: %s", error)  # noqa: TRY400 no traceback: the file is at fault
        return ""
    if not isinstance(found, dict):
        return ""
    return _name(found.get("city")) or _name(found.get("country"))


def is_of_dbip(path: str) -> bool:
    """Return whether the location file ``path`` is from DB-IP, whose licence requires a credit."""
    return bool(path) and "dbip" in _reader(path).metadata().database_type.lower()


@cache
def _reader(path: str) -> Any:
    import maxminddb  # noqa: PLC0415 most sites have no such file

    return maxminddb.open_database(path)


def _name(part: Any) -> str:
    names = part.get("names") if isinstance(part, dict) else None
    if not isinstance(names, dict):
        return ""
    language = spoken()
    found = names.get(language) or names.get(language.partition("-")[0]) or names.get("en")
    return found if isinstance(found, str) else ""
