"""Everything that revokes the session of a program invalidates its tokens at once.

``tests/activity`` tests that the owner is notified.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.users.models import User
from tests.support.administration import by_staff, by_superuser
from tests.support.api import (
    Answer,
    call,
    claims_of,
    exchange,
    get_tokens,
    is_good,
    renew,
    second_step,
)
from tests.support.clock import Clock
from tests.support.second_factor import code_of, enrolled, set_up_authenticator
from tests.support.signin import set_up, signed_in
from tests.support.steps import WRONG, make_user

pytestmark = pytest.mark.django_db

SESSIONS = "/accounts/sessions/"
LOCKDOWN = "/accounts/lockdown/"
CHANGE = "/accounts/password/change/"


@dataclass(frozen=True)
class Scene:
    """A user with a second factor, a signed-in browser and two programs."""

    user: Any
    browser: Client
    program: Answer
    other: Answer

    @property
    def sid(self) -> str:
        """The id of the program's session."""
        return str(claims_of(self.program["access"])["sid"])


@pytest.fixture
def scene(clock: Clock) -> Scene:
    user = make_user("alice")
    seed = enrolled(user)
    programs = []
    for _ in range(2):
        clock.advance(minutes=1)
        programs.append(second_step(get_tokens()["challenge"], code_of(seed)))
    return Scene(user, signed_in(User.objects.get()), *programs)


def revoked(kind: str, *, form: bool = False) -> Callable[[Scene], Any]:
    return lambda scene: call("token/revoke/", {"token": scene.program[kind]}, form=form)


def revoke_by(who: str) -> Callable[[Scene], Any]:
    """Revoke the program's session over the API, with the token of one of the programs."""
    return lambda scene: call(
        f"sessions/{scene.sid}/", method="DELETE", token=getattr(scene, who)["access"]
    )


ENDS: dict[str, Callable[[Scene], Any]] = {
    "former refresh token revoked": revoked("refresh"),
    "access token revoked by a form": revoked("access", form=True),
    "ended by itself": revoke_by("program"),
    "ended by another program": revoke_by("other"),
    "ended by a page": lambda s: s.browser.post(SESSIONS, {"end": s.sid}),
    "all others ended": lambda s: s.browser.post(SESSIONS, {"others": "1"}),
    "password changed": lambda s: s.browser.post(CHANGE, {"password1": WRONG}),
    "factor added": lambda s: set_up_authenticator(s.browser, name="Tablet"),
    "locked down": lambda s: s.browser.post(LOCKDOWN),
    "ended by the operator": lambda _: call_command("end_sessions", "alice"),
    "switched off": lambda s: by_superuser(s.user, "deactivate"),
    "switched off and on": lambda s: by_superuser(s.user, "deactivate", "reactivate"),
    "made staff": lambda s: by_staff(s.user, {"is_staff": "on"}),
    "switched off in the database": lambda _: User.objects.update(is_active=False),
}
# These revoke only that session.
ONE = [*ENDS][:5]


@pytest.mark.parametrize("name", ENDS)
def test_9_4_all_tokens_of_a_session_are_invalid_once_it_is_revoked(
    scene: Scene, name: str
) -> None:
    renewed = renew(scene.program["refresh"])
    bought = exchange(renewed["access"])
    assert is_good(bought["access"])

    ENDS[name](scene)

    for tokens in (scene.program, renewed, bought):
        assert not is_good(tokens["access"])
        assert call("me/", basic=f"{tokens['access']}:x").code == "token_not_valid"
        assert call("token/verify/", {"token": tokens["access"]}).status == 401
        assert exchange(tokens["access"]).code == "token_not_valid"
    for tokens in (renewed, scene.program):
        assert renew(tokens["refresh"]).code == "token_not_valid", "this does not count as reuse"
    assert is_good(scene.other["access"]) is (name in ONE)
    if name in ONE:
        assert renew(scene.other["refresh"]).status == 200
        assert scene.browser.get("/").status_code == 200


def test_an_expired_access_token_can_revoke_its_session(scene: Scene, clock: Clock) -> None:
    """Otherwise a program that signs out late would leave a valid refresh token behind."""
    clock.advance(days=6)

    assert revoked("access")(scene).status == 200

    assert renew(scene.program["refresh"]).code == "token_not_valid"
    assert renew(scene.other["refresh"]).status == 200


def test_a_token_for_another_service_cannot_revoke_the_session(scene: Scene, settings: Any) -> None:
    """Otherwise that service could sign its users out here."""
    set_up(settings, token_audiences=("https://shop.example",))
    tokens = renew(scene.program["refresh"], audience="https://shop.example")

    assert call("token/revoke/", {"token": tokens["access"]}).status == 200

    assert renew(tokens["refresh"]).status == 200


def test_revoking_an_unknown_token_or_by_another_method_reveals_and_revokes_nothing(
    scene: Scene,
) -> None:
    """RFC 7009 section 2.2. The answer does not reveal which tokens are valid."""
    call("token/revoke/", {"token": scene.other["refresh"]})
    head, claims, _signature = scene.program["access"].split(".")
    rubbish = [
        *("x", scene.sid, scene.program["refresh"][:-1], f"{head}.{claims}.", "a.b.c"),
        *(f"{head}.{claims}.{'A' * 86}", str(scene.user.pk), scene.other["refresh"]),
    ]

    for form in (False, True):
        for token in rubbish:
            answer = call("token/revoke/", {"token": token, "token_type_hint": "x"}, form=form)
            assert (answer.status, answer.body) == (200, None)
    for method in ("GET", "PUT", "DELETE"):
        token = scene.program["refresh"]
        answer = call(f"token/revoke/?token={token}", {"token": token}, method=method)
        assert answer.status == 405

    assert is_good(scene.program["access"])
    assert renew(scene.program["refresh"]).status == 200


def test_a_session_cannot_be_revoked_by_another_user_or_a_read_only_token(scene: Scene) -> None:
    make_user("mallory")
    mallory = get_tokens("mallory")["access"]

    for sid in (scene.sid, str(scene.user.pk), str(uuid.uuid4())):
        answer = call(f"sessions/{sid}/", method="DELETE", token=mallory)
        assert (answer.status, answer.code) == (404, "not_found")
    seeing = exchange(scene.other["access"], scope="read")["access"]
    answer = call(f"sessions/{scene.sid}/", method="DELETE", token=seeing)
    assert (answer.status, answer.code) == (403, "insufficient_scope")

    assert is_good(scene.program["access"])
    assert [revoke_by("other")(scene).status for _ in range(2)] == [204, 404]


def test_the_sessions_page_and_the_history_say_that_a_session_is_a_program() -> None:
    bob = signed_in(make_user("bob"))
    begun = get_tokens("bob", Client(headers={"user-agent": "curl/8.14.1"}))

    shown = bob.get(SESSIONS).text.partition("<bdi>curl</bdi>")[2].partition("</li>")[0]

    assert "through the API" in shown
    assert f'name="end" value="{claims_of(begun["access"])["sid"]}"' in shown
    assert "A program signed in through the API" in bob.get("/accounts/activity/").text
