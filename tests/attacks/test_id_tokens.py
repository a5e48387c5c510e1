"""Attacks by a provider, or with its answers."""

import hmac
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from joserfc.jwk import ECKey, RSAKey

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.emails.models import PendingEmail
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.social import services as social
from accounts.users import services as users
from accounts.users.models import EmailAddress, Identity, PendingSignup, User
from tests.support.forgeries import decoded, encoded
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, Person
from tests.support.process import slack
from tests.support.receiver import JSON, say
from tests.support.signin import signed_in
from tests.support.social import come_back, configured, go, round_trip
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    code_in,
    is_signed_in,
    link_in,
    mail_to,
    make_user,
    sign_in,
    sign_up,
    signed_up,
)

OTHER = "oidc/other"
SIGN_IN_FIRST = f"{LOGIN}?next=/accounts/3rdparty/confirm/"
CONFIRM_LINK = "/accounts/3rdparty/confirm/"
ALICE = Person("alice-1", "alice@example.org", username="alice")


def owners():
    return sorted(Identity.objects.values_list("user__username", "subject"))


type Json = dict[str, Any]
type Sign = Callable[[OpenIDProvider, bytes], bytes]


def signed_by(key=None, algorithm="ES256"):
    """Sign with ``key``, or with the key that the provider publishes."""

    def sign(op, text):
        made = jwt.get_algorithm_by_name(algorithm)
        return made.sign(text, (key or op.published).private_key)

    return sign


def unsigned(_op, _text):
    return b""


def hs256(secret):
    """Sign with a secret that others know, too."""
    return lambda op, text: hmac.digest(secret(op), text, "sha256")


def pem(op):
    public = op.published.public_key
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forge(op, head, claims, sign):
    """Make the provider issue ID tokens with these changes and this signature."""
    made = op._id_token

    def laid_over(part, changes):
        right = json.loads(decoded(part))
        changed = {k: v(right[k]) if callable(v) else v for k, v in changes.items()}
        merged = {k: v for k, v in (right | changed).items() if v is not None}
        return encoded(json.dumps(merged).encode())

    def forged(grant):
        header, body, _signature = made(grant).split(".")
        text = f"{laid_over(header, head)}.{laid_over(body, claims)}"
        return f"{text}.{encoded(sign(op, text.encode()))}"

    op._id_token = forged  # type: ignore[method-assign]  # only this provider forges


def assert_refused(op):
    """Fail unless the site refuses the sign-in with a 400 page and creates no user."""
    browser = Client()
    answer = round_trip(browser, op)

    assert answer.status_code == 400
    assert b"That didn" in answer.content
    assert not is_signed_in(browser)
    assert not User.objects.exists()
    assert not Identity.objects.exists()


NOW = int(time.time())
DEEP = "[" * 200_000

# A function changes the right value; None removes the claim.
CLAIMS: dict[str, Json] = {
    "nonce missing": {"nonce": None},
    "nonce in a list": {"nonce": lambda right: [right]},
    "nonce of other letters": {"nonce": "\ud800é"},
    "iss missing": {"iss": None},
    "iss of another": {"iss": "https://mallory.example"},
    "iss with a slash": {"iss": lambda right: right + "/"},
    "aud missing": {"aud": None},
    "aud in words": {"aud": f"other {CLIENT_ID}"},
    "aud of several": {"aud": [CLIENT_ID, "other"]},
    "aud of several, azp another": {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "azp another": {"azp": "other"},
    "exp missing": {"exp": None},
    "exp past": {"exp": NOW - 120},
    "exp true": {"exp": True},
    "exp infinite": {"exp": float("inf")},
    "iat missing": {"iat": None},
    "iat to come": {"iat": NOW + 3600},
    "nbf to come": {"nbf": NOW + 3600},
    "sub missing": {"sub": None},
    "sub empty": {"sub": ""},
    "sub long": {"sub": "a" * 300},
    "sub with NUL": {"sub": "alice-1\0"},
    "sub half a character": {"sub": "\ud800"},
    "auth_time beyond all calendars": {"auth_time": 10**20},
}


@proves("V6.8.4", "V10.1.2", "V10.5.1", "V10.5.4")
@pytest.mark.parametrize("case", CLAIMS)
def test_10_2_an_id_token_with_a_wrong_claim_is_refused(op, case):
    """Withstands a malicious server."""
    op.metadata = {"userinfo_endpoint": None}
    forge(op, {}, CLAIMS[case], signed_by())

    assert_refused(op)


WHOLE: dict[str, Callable[[str], Any]] = {
    "absent": lambda _good: None,
    "a list": lambda good: [good],
    "no token": lambda _good: "a.b.c",
    "two parts": lambda good: good.rpartition(".")[0],
    "other letters": lambda good: f"é{good}\0",
    "deep header": lambda good: f"{encoded(DEEP.encode())}.{good.partition('.')[2]}",
    "long": lambda good: good + "A" * 500_000,
}


@proves("V6.8.2")
@pytest.mark.parametrize("case", WHOLE)
def test_a_malformed_id_token_is_refused(op, case):
    made = op._id_token
    op._id_token = lambda grant: WHOLE[case](made(grant))

    assert_refused(op)


@pytest.mark.parametrize("payload", [DEEP, "[]", "null", "{", ""], ids=repr)
def test_signed_claims_that_are_not_an_object_are_refused(op, payload):
    text = f"{encoded(b'{"alg": "ES256", "kid": "one"}')}.{encoded(payload.encode())}"
    op._id_token = lambda _grant: f"{text}.{encoded(signed_by()(op, text.encode()))}"

    assert_refused(op)


USERINFO = ["[]", "null", "", DEEP, '{"sub": "alice-1"', *(
    json.dumps({"sub": sub}) for sub in ("bob-1", None, ["alice-1"], "ALICE-1")
)]  # fmt: skip


@pytest.mark.parametrize("body", USERINFO, ids=lambda body: body[:20])
def test_userinfo_that_is_malformed_or_of_another_subject_is_refused(op, body):
    op.instead["/userinfo"] = say(200, body.encode(), **JSON)

    assert_refused(op)


@proves("V10.2.2", "RFC9700-2.1-d")
@pytest.mark.parametrize("iss", [None, "https://mallory.example", "{}/"])
def test_rfc_9207_an_answer_from_another_issuer_is_refused_before_the_code_is_sent(op, iss):
    browser = Client()
    answer = op.answer(go(browser))
    answer["iss"] = "" if iss is None else iss.format(op.issuer)
    if iss is None:
        del answer["iss"]

    assert come_back(browser, answer).status_code == 400

    assert op.count("/token") == 0
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "change", [{}, {"aud": [CLIENT_ID]}, {"aud": [CLIENT_ID, "o"], "azp": CLIENT_ID}], ids=str
)
def test_a_correctly_forged_id_token_is_accepted(op, change):
    """This shows that the other tests fail because of the changed part."""
    forge(op, {}, change, signed_by())

    assert round_trip(Client(), op).url == "/"


@pytest.fixture
def second(op, settings):
    """A second provider, configured beside the first one."""
    with OpenIDProvider() as second:
        configured(settings, op.setting(), second.setting("other", "Other"))
        yield second


@proves("V6.8.1", "V10.5.2")
def test_the_same_subject_at_a_second_issuer_is_another_user(op, second):
    round_trip(Client(), op, Person("1", username="alice"))

    round_trip(Client(), second, Person("1", username="mallory"), OTHER)

    assert owners() == [("alice", "1"), ("mallory", "1")]


def test_10_4_a_second_issuer_with_the_same_verified_email_takes_no_account_over(op, second):
    round_trip(Client(), op, ALICE)
    browser = Client()

    evil = Person("evil", "Alice@Example.org")
    assert round_trip(browser, second, evil, OTHER).url == SIGN_IN_FIRST

    assert not is_signed_in(browser)
    assert owners() == [("alice", "alice-1")]


@pytest.mark.parametrize("verified", [False, None, "true", "false", 1, [True], {}], ids=repr)
def test_an_unverified_email_links_no_account_and_is_not_reserved(op, verified):
    alice = make_user("alice")
    browser = Client()

    answer = round_trip(browser, op, Person("evil", "alice@example.org", verified))

    assert answer.url == "/"
    made = User.objects.exclude(pk=alice.pk).get()
    assert owners() == [(made.username, "evil")]
    assert made.email == ""
    round_trip(Client(), op, Person("evil-2", "bob@example.org", verified))
    assert is_signed_in(signed_up("bob"))


def test_email_verified_applies_only_to_the_email_beside_it(op):
    make_user("alice")
    op.claims = {"email": "alice@example.org"}
    op.userinfo = {"email": "evil@example.org", "email_verified": True}

    assert round_trip(Client(), op, Person("evil", "alice@example.org")).url == "/"

    assert User.objects.exclude(username="alice").get().email == ""


def test_cve_2026_53516_an_earlier_pending_sign_up_gets_no_access(op):
    """Withstands a malicious server: its address finds a pending sign-up."""
    mallory = Client()
    sign_up(mallory, "mallory", email="alice@example.org")
    mail = mail_to("alice").body
    assert PendingSignup.objects.exists()

    assert round_trip(Client(), op, ALICE).url == "/"

    alice = User.objects.get()
    assert alice.email == "alice@example.org"
    assert not alice.has_usable_password()
    assert not PendingSignup.objects.exists()
    mallory.post(CONFIRM, {"code": code_in(mail)})
    mallory.post(link_in(mail))
    for login in ("mallory", "alice", "alice@example.org"):
        for browser in (mallory, Client()):
            sign_in(browser, login)
            assert not is_signed_in(browser)
    assert User.objects.count() == 1


def test_a_lockdown_removes_the_email_that_a_thief_added_to_an_account_without_one(op, clock):
    """Withstands a thief in the account.

    Without an email, the provider counts as older proof beside the owner's known browser.
    """
    owner, thief, frank = Client(), Client(), Person("frank-1", username="frank")
    round_trip(owner, op, frank)
    clock.advance(days=30)
    op.signed_in_at = clock.now().timestamp()
    round_trip(thief, op, frank)
    thief.post("/accounts/email/", {"email": "mallory@example.org"})
    typed = {"confirm": PendingEmail.objects.get().pk, "code": code_in(mail_to("mallory").body)}
    thief.post("/accounts/email/", typed)
    assert User.objects.get().email == "mallory@example.org"
    round_trip(owner, op, frank)
    owner.post("/accounts/lockdown/")

    assert User.objects.get().email == ""
    assert not User.objects.get().emails.exists()
    for browser in (thief, owner):
        started = round_trip(browser, op, frank)
        assert not is_signed_in(browser)
        link = browser.get(started.url).url
        assert browser.post(link, {"lost": "ask"}).status_code == 403, "nobody could be warned"
        assert browser.post(link, {"lost": "support"}).status_code == 302
        browser.post(link, {"password1": "seven slow ferries hum"})
        assert sign_in(Client(), "frank", "seven slow ferries hum").status_code == 200


def test_a_thief_with_the_provider_account_cannot_recover_a_locked_account(op, clock):
    """The account had an email of its owner, so the provider's account is no proof."""
    owner, thief = Client(), Client()
    anne = Person("anne-1", username="anne", email="anne@example.org")
    round_trip(owner, op, anne)
    anne_here = User.objects.get()
    users.confirm_email(anne_here, "anne@example.net")
    clock.advance(days=30)
    op.signed_in_at = clock.now().timestamp()
    round_trip(thief, op, anne)
    users.confirm_email(User.objects.get(), "thief@example.net")
    (new,) = EmailAddress.objects.filter(key="thief@example.net")
    thief.post("/accounts/email/", {"primary": new.pk})
    for row in EmailAddress.objects.exclude(pk=new.pk):
        thief.post("/accounts/email/", {"remove": row.pk})
    assert User.objects.get().email == "thief@example.net"

    lock_down(User.objects.get(), Actor())

    started = round_trip(thief, op, anne)
    link = thief.get(started.url).url
    thief.post(link, {"password1": "seven slow ferries hum"})
    thief.post(link, {"lost": "ask"})
    assert User.objects.get().is_locked_down
    assert not Recovery.objects.exists()


def test_a_pending_link_works_only_in_its_own_browser(op):
    alice = make_user("alice")
    waiting, other = Client(), Client()
    assert round_trip(waiting, op, ALICE).url == SIGN_IN_FIRST
    signed_in(alice, other)

    assert other.get(CONFIRM_LINK).url == "/accounts/3rdparty/"
    assert other.post(CONFIRM_LINK, {"connect": "1"}).url == "/accounts/3rdparty/"
    assert waiting.post(CONFIRM_LINK, {"connect": "1"}).url.startswith(LOGIN)

    assert owners() == []


@pytest.mark.parametrize("name, minutes", [("mallory", 0), ("alice", 30)])
def test_a_pending_link_is_of_one_account_for_thirty_minutes(op, clock, name, minutes):
    make_user("alice")
    make_user("mallory")
    browser = Client()
    round_trip(browser, op, ALICE)
    clock.advance(minutes=minutes)
    sign_in(browser, name)

    browser.post(CONFIRM_LINK, {"connect": "1"})

    assert owners() == []
    assert browser.post(CONFIRM_LINK, {"connect": "1"}).url == "/accounts/3rdparty/"


def test_an_identity_cannot_be_connected_to_a_second_account(op):
    round_trip(Client(), op, Person("alice-1", username="alice"))

    mallory = signed_in(make_user("mallory"))
    round_trip(mallory, op, act="connect")
    mallory.post(CONFIRM_LINK, {"connect": "1"})

    assert owners() == [("alice", "alice-1")]


@proves("V6.8.4")
def test_only_a_users_own_identity_reauthenticates_them(op, clock):
    round_trip(Client(), op, Person("alice-1", username="alice"))
    mallory, mine = signed_in(make_user("mallory")), Person("mallory-1")
    round_trip(mallory, op, mine, act="connect")
    mallory.post(CONFIRM_LINK, {"connect": "1"})
    clock.advance(minutes=11)
    op.signed_in_at = clock.now().timestamp()

    for person, is_fresh in ((Person("alice-1"), False), (mine, True)):
        round_trip(mallory, op, person, act="prove")
        asked = mallory.post("/accounts/oidc/acme/login/", {"act": "connect"}).url
        assert asked.startswith("/accounts/reauthenticate/") != is_fresh
    assert Activity.objects.filter(kind="proof_failed").count() == 1


def test_an_identity_is_not_connected_if_the_session_is_revoked_meanwhile(op, monkeypatch):
    """Withstands a race."""
    alice = make_user("alice")
    thief, owner = signed_in(alice), signed_in(alice)
    round_trip(thief, op, Person("mallory-1"), act="connect")
    connect = social.connect

    def ended_meanwhile(*args):
        owner.post("/accounts/sessions/", {"others": "1"})
        return connect(*args)

    monkeypatch.setattr(social, "connect", ended_meanwhile)
    thief.post(CONFIRM_LINK, {"connect": "1"})

    assert not is_signed_in(thief)
    assert owners() == []
    assert is_signed_in(owner)


OTHER_KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
LONG = encoded(b"\xff" * 20_000)


SIGNATURES: dict[str, tuple[Json, Sign]] = {
    "none": ({"alg": "none"}, unsigned),
    "no alg": ({"alg": None}, signed_by()),
    "no signature": ({}, unsigned),
    "HS256 by the client's secret": ({"alg": "HS256"}, hs256(lambda _op: CLIENT_SECRET.encode())),
    "HS256 by the published key": ({"alg": "HS256"}, hs256(pem)),
    "another key": ({}, signed_by(OTHER_KEY)),
    "another key, shown": ({"jwk": OTHER_KEY.as_dict(private=False)}, signed_by(OTHER_KEY)),
    "another key, its address": ({"jku": "{origin}/evil"}, signed_by(OTHER_KEY)),
    "another key, its certificate's address": ({"x5u": "{origin}/evil"}, signed_by(OTHER_KEY)),
    "another key, its certificate": ({"x5c": ["MIIB"]}, signed_by(OTHER_KEY)),
    "kid unknown": ({"kid": "two"}, signed_by()),
    "kid a path": ({"kid": "../../dev/null"}, signed_by()),
    "kid in a list": ({"kid": ["one"]}, signed_by()),
    "crit unknown": ({"crit": ["mallory"], "mallory": 1}, signed_by()),
}

# PyJWT would compute the primes in Python, whatever the length, and block all threads.
PRIVATE = RSAKey.generate_key(2048, {"kid": "one"}).as_dict(private=False)
PRIVATE["d"] = encoded(b"\xff" * 300_000)
SHARED = {"kty": "oct", "k": encoded(b"known to everybody, as is all published")}
ODD_KEYS: dict[str, tuple[Json, Json, Sign]] = {
    **{
        name: (changes, {}, signed_by())
        for name, changes in {
            "no algorithm": {"alg": "none"},
            "another algorithm": {"alg": "ES384"},
            "an algorithm that is none": {"alg": ["ES256"]},
            "another use": {"use": "enc"},
            "an endless number": {"x": LONG},
            "an endless key of another kind": {"kty": "RSA", "n": LONG, "e": "AQAB"},
            "a curve that isn't": {"crv": "P-999"},
            "no curve": {"crv": None},
        }.items()
    },
    "a symmetric key": (SHARED, {"alg": "HS256"}, hs256(lambda _op: decoded(SHARED["k"]))),
    "a private key": (PRIVATE, {"alg": "RS256"}, unsigned),
}


@proves("V6.8.2")
@pytest.mark.parametrize("case", SIGNATURES)
def test_an_id_token_that_the_published_key_did_not_sign_is_refused(op, case):
    """Withstands a malicious server."""
    head, sign = SIGNATURES[case]
    filled = {k: v.format(origin=op.origin) if isinstance(v, str) else v for k, v in head.items()}
    forge(op, filled, {}, sign)

    assert_refused(op)

    assert op.count("/evil") == 0


def rsa(bits):
    with warnings.catch_warnings(action="ignore"):
        return RSAKey.generate_key(bits, {"kid": "one", "use": "sig"})


@pytest.mark.parametrize("case", ODD_KEYS)
def test_an_unfit_key_of_the_provider_is_refused_quickly(op, case):
    changes, head, sign = ODD_KEYS[case]
    key = op.published.as_dict(private=False) | changes
    op.instead["/jwks"] = say(200, json.dumps({"keys": [key]}).encode(), **JSON)
    forge(op, head, {}, sign)
    began = time.monotonic()

    assert_refused(op)

    assert time.monotonic() - began < 5 * slack()


@proves("V11.6.1")
@pytest.mark.parametrize("bits, good", [(1024, False), (2048, True)])
def test_an_rsa_key_needs_at_least_2048_bits(op, bits, good):
    """Withstands a malicious server: a provider publishes weak keys.

    RFC 7518 section 3.3.
    """
    op.published, op.key = rsa(bits), OTHER_KEY
    forge(op, {"alg": "RS256"}, {}, signed_by(algorithm="RS256"))

    if good:
        assert round_trip(Client(), op).url == "/"
    else:
        assert_refused(op)
