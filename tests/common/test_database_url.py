"""URLs of databases are read as libpq reads them."""

import pytest

from accounts.common.setting_parsers import parse_database_url

DEFAULTS = {"NAME": "x", "USER": "", "PASSWORD": "", "HOST": "", "PORT": "5432", "OPTIONS": {}}
WRITES = {"target_session_attrs": "read-write", "connect_timeout": "2"}


@pytest.mark.parametrize(
    "url, found",
    [
        ("postgres:///x", {}),
        (
            "postgresql://a%40b:p%2Fw%3A@db:5433/x%20y?sslmode=verify-full",
            {"USER": "a@b", "PASSWORD": "p/w:", "HOST": "db", "PORT": "5433", "NAME": "x y"}
            | {"OPTIONS": {"sslmode": "verify-full"}},
        ),
        (
            "postgres://u@one:5433,two/x",
            {"USER": "u", "HOST": "one,two", "PORT": "5433,5432", "OPTIONS": WRITES},
        ),
        (
            "postgres://[::1]:1,[fd00::2]:2/x",
            {"HOST": "::1,fd00::2", "PORT": "1,2", "OPTIONS": WRITES},
        ),
        ("postgres://%2Frun%2Fpg/x", {"HOST": "/run/pg"}),
        (
            "postgres://u@/x?host=/run/a,/run/b&port=6432",
            {"USER": "u", "HOST": "/run/a,/run/b"} | {"PORT": "6432,6432", "OPTIONS": WRITES},
        ),
        (
            "postgres://a,b/x?target_session_attrs=any",
            {"HOST": "a,b", "PORT": "5432,5432"}
            | {"OPTIONS": WRITES | {"target_session_attrs": "any"}},
        ),
    ],
)
def test_the_parts_of_a_url(url, found):
    assert parse_database_url(url) == {"ENGINE": "django.db.backends.postgresql"} | DEFAULTS | found


@pytest.mark.parametrize(
    "url, fault",
    [
        ("postgres://u:hunter2%zz@db/x", "invalid percent-encoded token"),
        ("postgres://db/x?hunter2=1", "invalid URI query parameter"),
        ("postgres://u:hunter2/@db/x", "host or port"),
        ("postgres://a:1,b:2,c:99999/x", "host or port"),
        ("postgres://db/", "names no database"),
        ("postgres://db/x?target_session_attrs=hunter2", "target_session_attrs"),
    ],
)
def test_an_error_names_the_fault_and_no_part_of_the_url(url, fault):
    with pytest.raises(ValueError, match=fault) as error:
        parse_database_url(url)
    assert "hunter2" not in str(error.value)
