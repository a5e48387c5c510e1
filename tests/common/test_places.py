"""Place names of IP addresses from a location file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import translation

from accounts.common import client_info
from accounts.common.environment import ConfigError, read
from tests.support import mmdb

BERLIN = "203.0.113.7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return mmdb.write(
        tmp_path / "places.mmdb",
        {
            "203.0.113.0/24": mmdb.city("Berlin"),
            "198.51.100.0/25": mmdb.city("Munich", de="München"),
            "192.0.2.0/24": {"country": {"names": {"en": "Peru"}}},
            "2001:db8:7::/48": mmdb.city("Lagos"),
        },
    )


@pytest.mark.parametrize(
    "ip, place",
    [
        (BERLIN, "Berlin"),
        ("198.51.100.127", "Munich"),
        ("198.51.100.128", ""),
        ("192.0.2.9", "Peru"),
        ("2001:db8:7::1", "Lagos"),
        ("2001:db8:8::1", ""),
        ("", ""),
    ],
)
def test_a_place_is_a_city_or_else_a_country(path: Path, ip: str, place: str) -> None:
    assert client_info.name(client_info.location_file(str(path)), ip) == place


def test_a_place_is_named_in_the_language_of_the_reader(path: Path) -> None:
    with translation.override("de"):
        assert client_info.name(str(path), "198.51.100.1") == "München"
        assert client_info.name(str(path), BERLIN) == "Berlin"


def test_only_files_of_dbip_want_a_credit(path: Path, tmp_path: Path) -> None:
    dbip = mmdb.write(tmp_path / "dbip.mmdb", {}, kind="DBIP-City-Lite (compat=City)")

    assert [client_info.is_of_dbip(str(p)) for p in (path, dbip)] == [False, True]
    assert not client_info.is_of_dbip("")


def truncated(path: Path) -> Path:
    """The file without the middle of its search tree."""
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + whole[whole.index(mmdb.MARKER) :])
    return path


def nonsense(path: Path) -> Path:
    path.write_text("no locations")
    return path


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda path: path.with_name("none.mmdb"), "can't be read: {}: no such file or directory"),
        (nonsense, "is not a complete file in MaxMind format: {}"),
        (truncated, "is not a complete file in MaxMind format: {}"),
    ],
    ids=["missing", "another format", "truncated"],
)
def test_a_missing_or_broken_file_stops_the_start_with_a_sentence(
    path: Path, make: Callable[[Path], Path], sentence: str, tmp_path: Path
) -> None:
    broken = make(path)
    given = {"ENVIRONMENT": "development", "GEOIP_FILE": str(broken)}

    with pytest.raises(ConfigError) as error:
        read(given, tmp_path)

    assert error.value.faults == [f"GEOIP_FILE {sentence.format(broken)}"]


def test_a_whole_file_is_taken(path: Path, tmp_path: Path) -> None:
    given = {"ENVIRONMENT": "development", "GEOIP_FILE": str(path)}
    assert read(given, tmp_path).geoip_file == str(path)
