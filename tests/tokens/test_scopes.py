"""Scopes: ``read`` and ``write`` cover all areas, and others cover one area."""

import pytest

from accounts.sessions.models import LoginSession
from accounts.tokens import scopes
from accounts.tokens.scopes import (
    AREAS,
    SCOPES,
    UnknownScope,
    in_words,
    is_covered,
    narrowed,
    parse,
    written,
)
from tests.support.urls import ROUTES


def test_every_protected_call_has_an_area_and_every_area_has_a_call() -> None:
    views = [getattr(route.callback, "cls", None) for route in ROUTES.values()]
    closed = [view for view in views if view and view.permission_classes != ()]

    assert {view.area for view in closed} == AREAS.keys() | {"admin"}


def test_a_scope_is_parsed_as_a_set_and_written_in_one_order() -> None:
    assert parse("  write \t read\n") == {"read", "write"}
    assert written(parse("write sessions:read groups")) == "groups sessions:read write"
    longest = LoginSession._meta.get_field("scope").max_length
    assert longest is not None
    assert len(written(SCOPES)) <= longest


@pytest.mark.parametrize(
    "text",
    ["", " ", "admin", "READ", "*", "read,write", "read write admin", "read:", ":read", "profile",
     "profile:own", "profile:read:write", "groups:read", "users:write"],
)  # fmt: skip
def test_an_unknown_scope_is_refused(text: str) -> None:
    with pytest.raises(UnknownScope):
        parse(text)


def test_read_and_write_cover_every_area_and_an_area_covers_only_itself() -> None:
    for right, other in (("read", "write"), ("write", "read")):
        assert not is_covered(frozenset({right}), other)
        for area in AREAS:
            held = frozenset({f"{area}:{right}"})
            assert is_covered(frozenset({right}), f"{area}:{right}")
            assert not is_covered(frozenset({other, "groups"}), f"{area}:{right}")
            assert [scope for scope in SCOPES if is_covered(held, scope)] == [f"{area}:{right}"]


def test_a_scope_in_words_names_the_areas_that_it_covers() -> None:
    said = in_words({"profile:read", "activity:read", "sessions:read", "sessions:write", "groups"})
    assert said == "View: Profile, Activity; View and change: Sessions; groups"
    areas = "Change: Profile, Sessions, Activity, API keys, Connected apps"
    assert in_words({"write"}).startswith(areas)


def test_groups_and_other_users_are_not_in_the_default_scope() -> None:
    for scope in ("groups", "users:read", "admin:read", "admin:write"):
        assert scope not in scopes.DEFAULT
        assert not is_covered(scopes.DEFAULT, scope)


def test_a_scope_can_be_narrowed_and_a_wider_one_is_refused() -> None:
    assert narrowed(scopes.DEFAULT, None) == scopes.DEFAULT
    for held in SCOPES:
        for wanted in SCOPES:
            if is_covered({held}, wanted):
                assert narrowed({held}, frozenset({wanted})) == {wanted}
                continue
            for asked in ({wanted}, {held, wanted}):
                with pytest.raises(UnknownScope):
                    narrowed({held}, frozenset(asked))
