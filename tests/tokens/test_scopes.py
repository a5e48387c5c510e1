"""Which scope has which: a word for everything, a word for one area, and nothing between."""

import pytest

from accounts import api_urls
from accounts.sessions.models import LoginSession
from accounts.tokens import scopes
from accounts.tokens.scopes import AREAS, SCOPES, UnknownScope, is_covered, narrowed, parse, written

WIDE = frozenset({"read", "write"})


def test_scopes_are_read_write_groups_and_two_for_every_area() -> None:
    assert {
        *("read", "write", "groups"),
        *("profile:read", "profile:write", "sessions:read", "sessions:write"),
        *("activity:read", "activity:write", "keys:read", "keys:write"),
    } == SCOPES


def test_every_closed_call_has_an_area_and_every_area_a_call() -> None:
    views = [getattr(route.callback, "cls", None) for route in api_urls.urlpatterns]
    closed = [view for view in views if view and view.permission_classes != ()]

    assert {view.area for view in closed} == AREAS.keys()


@pytest.mark.parametrize(
    "text, scope",
    [
        ("read", {"read"}),
        ("write read", {"read", "write"}),
        ("  read \t read\n", {"read"}),
        ("sessions:read groups", {"sessions:read", "groups"}),
    ],
)
def test_a_scope_is_a_set_of_words(text: str, scope: set[str]) -> None:
    assert parse(text) == scope


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "admin",
            "READ",
            "réad",
            "*",
            "read,write",
            "read write admin",
            "read:",
            ":read",
        ),
        *("profile", "profile:", "profile:own", "profile:read:write", "groups:read"),
    ],
)
def test_what_is_no_scope_is_refused_whole(text: str) -> None:
    with pytest.raises(UnknownScope):
        parse(text)


@pytest.mark.parametrize("right", ["read", "write"])
def test_a_word_covers_its_areas_and_an_area_covers_itself_alone(right: str) -> None:
    other = {"read": "write", "write": "read"}[right]
    for area in AREAS:
        assert is_covered(frozenset({right}), f"{area}:{right}")
        assert not is_covered(frozenset({other, "groups"}), f"{area}:{right}")
        assert not is_covered(frozenset({f"{area}:{right}"}), right)
        assert not is_covered(frozenset({f"{area}:{other}"}), f"{area}:{right}")
        held = frozenset({f"{area}:{right}"})
        assert [a for a in AREAS if is_covered(held, f"{a}:{right}")] == [area]


def test_to_write_is_not_to_read() -> None:
    assert not is_covered(frozenset({"write"}), "read")


def test_nobody_gets_the_groups_who_has_not_asked_for_them() -> None:
    assert "groups" not in scopes.DEFAULT
    assert not is_covered(scopes.DEFAULT, "groups")


@pytest.mark.parametrize(
    "wanted, got",
    [
        (None, WIDE),
        (frozenset({"read"}), {"read"}),
        (frozenset({"sessions:write", "activity:read"}), {"sessions:write", "activity:read"}),
        (WIDE, WIDE),
    ],
)
def test_a_narrower_scope_is_what_was_asked_for_and_no_word_more(
    wanted: frozenset[str] | None, got: set[str]
) -> None:
    assert narrowed(WIDE, wanted) == got


@pytest.mark.parametrize("wanted", [{"groups"}, {"read", "groups"}])
def test_one_word_too_many_refuses_all(wanted: set[str]) -> None:
    with pytest.raises(UnknownScope):
        narrowed(WIDE, frozenset(wanted))


def test_whatever_is_asked_for_allows_nothing_that_was_not_held() -> None:
    for one in SCOPES:
        for other in SCOPES:
            try:
                got = narrowed({one}, frozenset({other}))
            except UnknownScope:
                continue
            allowed = {scope for scope in SCOPES if is_covered(got, scope)}
            assert allowed <= {scope for scope in SCOPES if is_covered(frozenset({one}), scope)}


def test_it_is_written_in_one_way() -> None:
    assert written(parse("write sessions:read groups")) == "groups sessions:read write"
    assert written(["write", "read"]) == written(("read", "write")) == "read write"


def test_the_longest_scope_fits_its_column() -> None:
    longest = LoginSession._meta.get_field("scope").max_length
    assert longest is not None
    assert len(written(SCOPES)) <= longest
