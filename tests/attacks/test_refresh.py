"""Attacks on refresh tokens, and on what tokens may do."""

import base64
import json
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.common import secrets
from accounts.oauth import app_sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import families, keyring
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
from tests.support.api_passkeys import sign_in_options
from tests.support.passkeys import owner
from tests.support.second_factor import code_of, enrolled, set_up_authenticator, unused_code
from tests.support.second_steps import with_factor
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import WRONG, is_signed_in, make_user, outbox

REUSED = "token_reused"
NOT_VALID = "token_not_valid"
ALPHABET = string.ascii_letters + string.digits + "-_"


def person(name="alice"):
    """Create a user and return the first tokens of a program."""
    make_user(name)
    return get_tokens(name)


def refused(refresh_token, **token_request):
    """Refresh with ``refresh_token``, fail unless it is refused, and return the error code."""
    answer = renew(refresh_token, **token_request)
    assert answer.status == 401, answer
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return answer.code


def reuses():
    """Return how many reuses were recorded; fail unless a mail reports each of them."""
    noted = Activity.objects.filter(kind=REUSED).count()
    mails = [mail for mail in outbox() if "was used twice" in mail.subject]
    assert len(mails) == noted
    return noted


def test_a_retry_gets_the_same_refresh_token_and_a_valid_access_token(clock):
    """Withstands an accident: an answer was lost."""
    first = person()
    renewed = renew(first["refresh"])

    for seconds in (0, 15, 14.9):
        clock.advance(seconds=seconds)
        again = renew(first["refresh"])
        assert again["refresh"] == renewed["refresh"] != first["refresh"]
        assert again["access"] != renewed["access"]
        assert is_good(again["access"])

    assert is_good(renewed["access"])
    assert renew(renewed["refresh"]).status == 200
    assert reuses() == 0


def test_a_refresh_notes_the_use_of_its_session_once_a_minute(clock):
    token, began = person()["refresh"], LoginSession.objects.get().used_at
    for seconds, noted in ((59, 0), (1, 60)):
        clock.advance(seconds=seconds)
        token = renew(token)["refresh"]
        assert (LoginSession.objects.get().used_at - began).seconds == noted


@proves("V10.4.5")
def test_reuse_after_the_grace_period_revokes_the_session_and_notifies_the_user(clock):
    """Withstands a thief with a token: a refresh token is stolen."""
    first = person()
    renewed = renew(first["refresh"])
    clock.advance(seconds=29)
    assert renew(first["refresh"]).status == 200, "a retry does not extend the grace period"
    clock.advance(seconds=1)

    assert refused(first["refresh"]) == REUSED

    assert refused(renewed["refresh"]) == NOT_VALID
    assert not is_good(first["access"])
    assert not is_good(renewed["access"])
    assert reuses() == 1
    noted = Activity.objects.get(kind=REUSED)
    assert (str(noted.session), noted.ip) == (claims_of(first["access"])["sid"], "127.0.0.1")


def test_a_clock_that_is_set_back_does_not_extend_the_grace_period(clock):
    """Withstands a failure."""
    first = person()
    renew(first["refresh"])
    clock.advance(hours=-2)

    assert refused(first["refresh"]) == REUSED


def test_reuse_after_the_successor_was_used_revokes_only_that_session_at_once(clock):
    """Reuse is detected even if the request is invalid for another reason."""
    first = person()
    other, bobs = get_tokens(), person("bob")
    third = renew(renew(first["refresh"])["refresh"])

    assert refused(first["refresh"], scope="groups") == REUSED

    assert not is_good(third["access"])
    assert refused(third["refresh"]) == NOT_VALID
    assert reuses() == 1
    for tokens in (other, bobs):
        assert is_good(tokens["access"])
        assert renew(tokens["refresh"]).status == 200


def test_reuse_of_a_much_older_token_revokes_the_session_and_is_recorded_once(clock):
    """Withstands a thief with a token.

    Further attempts send no more mails.
    """
    tokens = [person()]
    for _ in range(4):
        tokens.append(renew(tokens[-1]["refresh"]))
        clock.advance(days=1)

    assert refused(tokens[1]["refresh"]) == REUSED

    assert {refused(token["refresh"]) for token in tokens} == {NOT_VALID}
    assert reuses() == 1


@proves("V11.4.3")
def test_every_character_of_a_refresh_token_is_verified(django_assert_num_queries):
    """Withstands a forger.

    This includes the spare bits of Base64. A forged token costs no query. No two tokens are the
    same.
    """
    family = uuid.uuid4()
    token = families.first_token(family)
    assert families.family_of(token) == family
    for place, character in enumerate(token):
        for other in (ALPHABET[(ALPHABET.index(character) + n) % 64] for n in (1, 2, 4, 16, 32)):
            assert families.family_of(token[:place] + other + token[place + 1 :]) is None
    wide = token.translate({ord(d): ord(d) + 0xFEE0 for d in string.digits + "aeiou"})
    for odd in ("", f"{token}=", f"{token}AAAA", token[:-1], f"{token[:9]}\n{token[9:]}",
                token.upper(), wide, "A" * len(token), "\ud800" * 72):  # fmt: skip
        assert families.family_of(odd) is None
    with django_assert_num_queries(0):
        assert families.of(odd) is app_sessions.with_token(odd) is None
    assert families.SECRET * 8 >= 160
    chain = [token, families.first_token(family)]
    for _ in range(100):
        chain.append(families.successor(chain[-1]))
    assert len({secrets.plain_digest(link) for link in chain}) == 102


def test_knowing_a_session_id_is_not_enough_to_revoke_it(clock):
    """Every service that gets an access token can read the session id in it."""
    alices, mallorys = person(), person("mallory")
    sid = uuid.UUID(claims_of(alices["access"])["sid"]).bytes
    hers = base64.urlsafe_b64decode(mallorys["refresh"])

    for raw in (sid + bytes(38), sid + hers[16:], sid + hers[16:38] + sid, hers[:38] + sid):
        token = base64.urlsafe_b64encode(raw).decode()
        assert refused(token) == NOT_VALID
        assert call("token/revoke/", {"token": token}).status == 200

    assert reuses() == 0
    for tokens in (alices, mallorys):
        assert is_good(tokens["access"])
        assert renew(tokens["refresh"]).status == 200


@proves("V6.5.2")
def test_a_copy_of_the_database_reveals_no_token_and_computes_no_successor():
    """Withstands a thief with the database."""
    first = person()
    second = renew(first["refresh"])
    third = renew(second["refresh"])
    dump = str([list(model._base_manager.values_list()) for model in apps.get_models()])

    for answer in (first, second, third):
        for token in (answer["access"], answer["refresh"]):
            assert token[-38:] not in dump
    (family,) = LoginSession.objects.all()
    for digest in (family.refresh_digest, family.former_digest):
        assert digest in dump
        raw = family.pk.bytes + bytes.fromhex(digest)[:22]
        made = base64.urlsafe_b64encode(raw + bytes.fromhex(digest)[:16]).decode()
        of_made = secrets.plain_digest(made)
        assert {refused(token) for token in (digest, made, of_made)} == {NOT_VALID}
    assert renew(third["refresh"]).status == 200


def test_rotating_the_secret_key_node_by_node_revokes_no_session(settings, clock):
    """Withstands an operator's mistake."""
    former, newest = "former " * 8, "newest " * 8

    def know(newest_first, *fallbacks):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = newest_first, [*fallbacks]

    know(former)
    first = person()
    second = renew(first["refresh"])
    know(newest, former)
    again = renew(first["refresh"])
    assert again["refresh"] == second["refresh"], "a retry gets the same successor"
    assert is_good(again["access"])

    third = renew(second["refresh"])
    know(former)
    assert refused(second["refresh"]) == NOT_VALID, "this node does not have the newer key yet"

    know(newest, former)
    fourth = renew(third["refresh"])
    know(newest)
    assert renew(fourth["refresh"]).status == 200
    assert refused(first["refresh"]) == NOT_VALID, "a token of a removed key counts as forged"
    assert reuses() == 0


@proves("V16.5.3")
def test_a_refresh_that_cannot_be_signed_does_not_use_up_the_token(clock, settings):
    """Otherwise a client's retry a minute later would count as reuse."""
    token = person()["refresh"]
    before, sign_ins = settings.AUTHSITE, LoginSession.objects.count()
    settings.AUTHSITE = replace(before, encryption_keys=(secrets.encryption_key(),))
    keyring.forget()
    answers = [renew(token), get_tokens()]
    assert [(a.status, a.code) for a in answers] == [(503, "unavailable")] * 2
    assert LoginSession.objects.count() == sign_ins

    settings.AUTHSITE = before
    keyring.forget()
    clock.advance(minutes=1)
    assert renew(token).status == 200


def test_a_sign_in_that_cannot_be_signed_does_not_use_up_its_proofs():
    make_user("alice")
    asked = call("login/code/", {"username": "alice"})["challenge"]
    mailed = {"challenge": asked, "code": outbox()[-1].code}
    _bob, passkey = owner("bob")
    carol, _seed = with_factor("carol")
    shown = {"challenge": get_tokens("carol")["challenge"], "code": unused_code(carol)}
    calls = {
        "login/code/confirm/": mailed,
        "token/": {"credential": json.loads(passkey.get(sign_in_options()))},
        "token/challenge/": shown,
    }
    private = keyring.live_keys().get().private

    for text, status in (("damaged", 503), (private, 200)):
        keyring.live_keys().update(private=text)
        keyring.forget()
        assert [call(*each).status for each in calls.items()] == [status] * 3


SESSIONS = "/accounts/sessions/"
LOCKDOWN = "/accounts/lockdown/"
CHANGE = "/accounts/password/change/"


@dataclass(frozen=True)
class Scene:
    """A user with a second factor, two signed-in browsers and two programs."""

    user: Any
    browser: Client
    elsewhere: Client
    program: Answer
    other: Answer

    @property
    def sid(self):
        """The id of the program's session."""
        return str(claims_of(self.program["access"])["sid"])


@pytest.fixture
def scene(clock):
    user = make_user("alice")
    seed = enrolled(user)
    programs = []
    for _ in range(2):
        clock.advance(minutes=1)
        programs.append(second_step(get_tokens()["challenge"], code_of(seed)))
    return Scene(user, *(signed_in(User.objects.get()) for _ in range(2)), *programs)


def revoked(kind, *, form=False):
    return lambda scene: call("token/revoke/", {"token": scene.program[kind]}, form=form)


def revoke_by(who):
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
    "made staff": lambda s: by_staff(s.user, is_staff="on"),
    "switched off in the database": lambda _: User.objects.update(is_active=False),
}
# These revoke only that session.
ONE = [*ENDS][:5]


@proves("V7.4.1")
@pytest.mark.parametrize("name", ENDS)
def test_9_4_all_tokens_of_a_session_are_invalid_once_it_is_revoked(scene, name):
    """Withstands a thief with a token."""
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
    assert is_good(scene.other["access"]) is is_signed_in(scene.elsewhere) is (name in ONE)
    if name in ONE:
        assert renew(scene.other["refresh"]).status == 200


def test_an_expired_access_token_can_revoke_its_session(scene, clock):
    """Withstands an accident.

    Otherwise a program that signs out late would leave a valid refresh token behind.
    """
    clock.advance(days=6)

    assert revoked("access")(scene).status == 200

    assert renew(scene.program["refresh"]).code == "token_not_valid"
    assert renew(scene.other["refresh"]).status == 200


def test_a_token_for_another_service_cannot_revoke_the_session(scene, settings):
    """Withstands another member.

    Otherwise that service could sign its users out here.
    """
    set_up(settings, token_audiences=("https://shop.example",))
    tokens = renew(scene.program["refresh"], audience="https://shop.example")

    assert call("token/revoke/", {"token": tokens["access"]}).status == 200

    assert renew(tokens["refresh"]).status == 200


def test_revoking_an_unknown_token_or_by_another_method_reveals_and_revokes_nothing(scene):
    """Withstands a spy.

    RFC 7009 section 2.2. The answer does not reveal which tokens are valid.
    """
    call("token/revoke/", {"token": scene.other["refresh"]})
    head, claims, _signature = scene.program["access"].split(".")
    rubbish = (scene.sid, scene.program["refresh"][:-1], f"{head}.{claims}.", "a.b.c",
               f"{head}.{claims}.{'A' * 86}", scene.other["refresh"])  # fmt: skip

    for token in rubbish:
        answer = call("token/revoke/", {"token": token, "token_type_hint": "x"}, form=True)
        assert (answer.status, answer.body) == (200, None)
    for method in ("GET", "PUT", "DELETE"):
        token = scene.program["refresh"]
        answer = call(f"token/revoke/?token={token}", {"token": token}, method=method)
        assert answer.status == 405

    assert is_good(scene.program["access"])
    assert renew(scene.program["refresh"]).status == 200
