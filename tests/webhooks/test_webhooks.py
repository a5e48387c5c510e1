"""What endpoints hear of, in which order, and how often it is repeated."""

import json
from contextlib import suppress
from datetime import timedelta

import jwt
import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.activity import events
from accounts.activity.events import EVENTS, TYPES
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.administration.changes import tell
from accounts.imports.parts import FoundPerson
from accounts.imports.services import Import
from accounts.tokens import keyring
from accounts.webhooks import services
from accounts.webhooks.models import Delivery, Endpoint
from tests.support.erasure import erase
from tests.support.receiver import say
from tests.support.signin import set_up
from tests.support.steps import make_staff, make_user, outbox
from tests.support.webhooks import send_all, told, told_at, types_at

URL = "https://payroll.example.org/hook"
TOKENS = Endpoint.Format.TOKEN
RENAMED = {"type": "user.updated", "event": "renamed"}


def happen(user, *kinds):
    for event in kinds or (events.RENAMED,):
        record(user, event, Actor())


@pytest.mark.parametrize("type_", TYPES)
def test_an_endpoint_hears_of_the_types_that_it_has_chosen(alice, type_):
    told_at(URL, type_)

    for event in EVENTS.values():
        record(alice, event, Actor(), detail=str(alice.pk), mail=False)

    bodies = [json.loads(row.body) for row in Delivery.objects.order_by("pk")]
    kinds = [EVENTS[body["data"]["event"]] for body in bodies]
    assert kinds == [event for event in EVENTS.values() if event in TYPES[type_]]
    assert not [a for a in TYPES for b in TYPES if a != b and a in b]


def test_a_webhook_has_ids_and_is_verified_by_another_implementation(alice, receiver):
    """Withstands a forger: a webhook is forged."""
    carol = make_staff("carol")
    endpoint = told_at(receiver.url("/hook"))
    row = record(alice, events.PRIMARY_CHANGED, Actor().as_staff(carol), detail="a@example.org")

    send_all()

    (_path, headers, body), verifier = receiver.sent[0], Webhook(endpoint.new_secret)
    assert verifier.verify(body, headers)["data"] == {
        **{"id": row.pk, "event": "primary_changed", "user": str(alice.pk)},
        **{"by": "staff", "actor": str(carol.pk), "session": None},
    }
    assert headers["webhook-id"] == f"evt_{row.pk}"
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace("email", "user"), headers)
    assert "example.org" not in body


def verified_by(receiver, *secrets):
    """Return which of ``secrets`` verify the last webhook."""
    _path, headers, body = receiver.sent[-1]
    found = []
    for secret in secrets:
        with suppress(WebhookVerificationError):
            Webhook(secret).verify(body, headers)
            found.append(secret)
    return found


def test_for_a_week_webhooks_have_the_former_signature_too(alice, receiver, monkeypatch):
    """Withstands an accident."""
    endpoint = told_at(receiver.url("/hook"))
    former, fresh = endpoint.new_secret, services.rotate_secret(endpoint, Actor())

    happen(alice)
    send_all()
    assert verified_by(receiver, former, fresh) == [former, fresh]
    with pytest.raises(services.SecretReplaced):
        services.rotate_secret(endpoint, Actor())

    Endpoint.objects.update(former_until=Activity.objects.earliest("pk").at)
    happen(alice)
    send_all()
    assert verified_by(receiver, former, fresh) == [fresh]
    leaked = services.rotate_secret(endpoint, Actor(), now=True)
    happen(alice)
    send_all()
    assert verified_by(receiver, fresh, leaked) == [leaked]


@pytest.mark.parametrize("weak", ["whsec_", "whsec_x", f"whsec_{'A' * 28}==", "A" * 44, "whsec_é"])
def test_a_secret_from_elsewhere_has_24_bytes_at_least(db, weak):
    endpoint = Endpoint(description="Payroll", url=URL, kinds=["user.created"])

    with pytest.raises(ValidationError):
        services.save_endpoint(endpoint, Actor(), weak)
    good = f"whsec_{'A' * 32}"
    assert services.save_endpoint(endpoint, Actor(), good) == good


def test_the_url_of_a_webhook_has_no_password_which_staff_would_see(db):
    """Withstands a member of staff."""
    for url in ("https://user:password@example.org/hook", "https://["):
        with pytest.raises(ValidationError):
            told_at(url)
    assert told_at("https://example.org/@hook")


def test_a_change_that_is_rolled_back_writes_nothing(alice):
    told_at(URL)

    with transaction.atomic():
        happen(alice)
        assert Delivery.objects.count() == 1
        transaction.set_rollback(True)

    assert not Delivery.objects.exists()


def test_a_sign_in_asks_for_no_endpoint_and_a_change_asks_once(alice):
    def asked(*kinds):
        with CaptureQueriesContext(connection) as queries:
            happen(alice, *kinds)
        return sum("webhooks_" in query["sql"] for query in queries)

    assert (asked(events.SIGNED_IN), asked(events.RENAMED)) == (0, 1)
    for number in range(5):
        told_at(f"{URL}{number}", "user.updated")
    assert (asked(events.SIGNED_IN), asked(events.RENAMED)) == (0, 2)


def test_an_endpoint_of_groups_hears_of_their_people_and_of_those_who_leave(alice):
    bob, (sales, gone) = make_user("bob"), [Group.objects.create(name=n) for n in ("a", "b")]
    told_at(URL, groups=(sales,))
    told_at("https://gone.example.org", groups=(gone,))
    gone.delete()
    alice.groups.add(sales)
    happen(alice)
    happen(bob)
    alice.groups.clear()
    happen(alice)
    tell(alice, {"groups"}, make_staff("carol"), Actor())

    heard = Delivery.objects.filter(endpoint__description=URL).values_list("subject", "type")
    assert list(heard) == [(alice.pk, "user.updated")] * 2
    others = Delivery.objects.exclude(endpoint__description=URL)
    assert [row.event for row in others] == [Activity.objects.get(kind="rights_changed").pk]


def test_everybody_who_is_imported_is_told_of(db):
    told_at(URL, "user.created")

    people = (FoundPerson(username=f"person{n}") for n in range(20))
    Import(lambda _note: None, lambda _rows: None).run(people, "digest")

    assert Delivery.objects.count() == 20


def test_the_deletion_of_a_person_is_told_although_nothing_else_is_left(alice, receiver):
    """Withstands a failure."""
    group = Group.objects.create(name="sales")
    alice.groups.add(group)
    told_at(receiver.url("/hook"), groups=(group,))
    happen(alice)

    assert erase(alice)
    send_all()

    assert types_at(receiver) == ["user.updated", "user.deleted"]
    assert told(receiver)[1]["data"]["user"] == str(alice.pk)


def test_an_event_waits_ten_minutes_for_an_earlier_one_of_the_same_person(alice, receiver, clock):
    receiver.answers["/hook"] = say(500)
    told_at(receiver.url("/hook"))
    happen(alice)
    send_all()
    receiver.answers.clear()
    clock.advance(seconds=1)
    happen(alice, events.PASSWORD_CHANGED)
    happen(make_user("bob"), events.LOCKED_DOWN)

    send_all()
    assert types_at(receiver)[1:] == ["user.locked"]
    clock.advance(seconds=9)
    send_all()
    send_all()
    assert types_at(receiver)[2:] == ["user.updated", "password.changed"]


def test_after_ten_minutes_an_event_passes_one_that_fails(alice, receiver, clock):
    told_at(receiver.url("/hook"))
    happen(alice)
    Delivery.objects.update(due_at=clock.now() + timedelta(hours=1))
    happen(alice, events.PASSWORD_CHANGED)

    send_all()
    assert types_at(receiver) == []
    clock.advance(minutes=10)
    send_all()
    assert types_at(receiver) == ["password.changed"]


def test_pauses_grow_and_an_endpoint_that_accepts_nothing_for_three_days_is_disabled(
    alice, receiver, clock
):
    carol, dave = make_staff("carol"), make_staff("dave")
    receiver.answers["/hook"] = say(503)
    endpoint = told_at(receiver.url("/hook"), made_by=dave.pk)
    happen(alice)
    pauses = []
    for _attempt in range(12):
        send_all()
        pauses.append((Delivery.objects.get().due_at - clock.now()).total_seconds())
        clock.advance(seconds=pauses[-1])
    assert pauses[:4] == [10, 20, 40, 80]
    assert pauses[-1] == 2 * 3600
    assert Delivery.objects.get().answer == "status 503"
    outbox().clear()

    clock.advance(days=3)
    assert services.give_up() == 1

    endpoint.refresh_from_db()
    assert endpoint.disabled_at
    disabled = Activity.objects.filter(kind="webhook_disabled")
    assert {row.user for row in disabled} == {carol, dave}
    happen(alice)
    assert not Delivery.objects.exists()


def test_an_endpoint_that_refuses_a_single_event_is_not_disabled(alice, receiver, clock):
    endpoint = told_at(receiver.url("/hook"))
    happen(alice)
    clock.advance(days=2)
    Delivery.objects.update(due_at=clock.now() + timedelta(hours=1))
    happen(make_user("bob"))
    send_all()
    clock.advance(days=1)

    assert services.give_up() == 1

    endpoint.refresh_from_db()
    assert endpoint.disabled_at is None
    assert services.prune() == 0
    clock.advance(days=7)
    assert services.prune() == 1


def test_an_endpoint_for_which_too_much_waits_is_disabled(alice, monkeypatch):
    """Withstands a flood: webhooks that wait fill the database."""
    monkeypatch.setattr(services, "MOST_WAITING", 2)
    _full, other = told_at(URL), told_at("https://other.example.org", "user.locked")
    happen(alice, *[events.RENAMED] * 3, *[events.LOCKED_DOWN] * 2)

    assert services.give_up() == 5

    assert [row.disabled_at is None for row in Endpoint.objects.order_by("pk")].count(True) == 1
    other.refresh_from_db()
    assert other.disabled_at is None
    assert set(Delivery.objects.values_list("endpoint", flat=True)) == {other.pk}


def test_an_endpoint_that_was_just_disabled_gets_nothing(alice, receiver):
    endpoint = told_at(receiver.url("/hook"))
    happen(alice)
    services.set_enabled(endpoint, Actor(), enabled=False)

    send_all()

    assert receiver.sent == []
    assert services.give_up() == 1


def test_a_secret_that_no_key_decrypts_stops_no_other_endpoint(alice, receiver):
    """Withstands an operator's mistake."""
    broken = told_at(receiver.url("/broken"))
    told_at(receiver.url("/hook"))
    Endpoint.objects.filter(pk=broken.pk).update(secret="gibberish")
    happen(alice)

    send_all()

    assert [path for path, *_rest in receiver.sent] == ["/hook"]


def token_of(receiver):
    _path, headers, body = receiver.sent[-1]
    assert headers["Content-Type"] == "application/secevent+jwt"
    head = jwt.get_unverified_header(body)
    key, options = keyring.find_key(head["kid"]).key, {"verify_iat": False}
    claims = jwt.decode(body, key, [head["alg"]], audience=receiver.url("/hook"), options=options)
    return head, claims


CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"


@pytest.mark.parametrize(
    "event, name, more",
    [
        (events.SIGNED_OUT, f"{CAEP}session-revoked", {}),
        (
            events.PASSWORD_SET,
            f"{CAEP}credential-change",
            {"credential_type": "password", "change_type": "create"},
        ),
        (
            events.FACTORS_RESET,
            f"{CAEP}credential-change",
            {"credential_type": "app", "change_type": "revoke"},
        ),
        (events.LOCKED_DOWN, f"{RISC}account-disabled", {"reason": "hijacking"}),
        (events.SWITCHED_ON, f"{RISC}account-enabled", {}),
    ],
)
def test_an_endpoint_of_tokens_gets_signed_security_events(alice, receiver, event, name, more):
    told_at(receiver.url("/hook"), event.type, format=TOKENS)
    row = record(alice, event, Actor())

    send_all()

    head, claims = token_of(receiver)
    assert head["typ"] == "secevent+jwt"
    assert (claims["iss"], claims["jti"]) == ("http://localhost:8000", f"evt_{row.pk}")
    assert claims["sub_id"] == {
        **{"format": "iss_sub", "iss": "http://localhost:8000", "sub": str(alice.pk)}
    }
    told_of = dict(claims["events"][name])
    if name.startswith(CAEP):
        assert (told_of.pop("event_timestamp"), told_of.pop("initiating_entity")) == (
            claims["iat"],
            "system",
        )
    assert (told_of, "exp" in claims) == (more, False)


def test_a_purged_account_and_a_test_are_told_as_security_events(alice, receiver):
    endpoint = told_at(receiver.url("/hook"), "user.deleted", format=TOKENS)
    erase(alice)
    send_all()
    assert token_of(receiver)[1]["events"] == {f"{RISC}account-purged": {}}

    services.send_test(endpoint, make_user("carol"), Actor())
    send_all()
    (name,) = token_of(receiver)[1]["events"]
    assert name.endswith("/ssf/event-type/verification")


def test_the_secrets_survive_a_change_of_the_encryption_key(alice, receiver, settings):
    endpoint = told_at(receiver.url("/hook"))
    former, fresh = endpoint.new_secret, services.rotate_secret(endpoint, Actor())
    (old,) = settings.AUTHSITE.encryption_keys
    new = "A" * 43 + "="
    set_up(settings, encryption_keys=(new, old))
    call_command("reencrypt", verbosity=0)
    set_up(settings, encryption_keys=(new,))

    happen(alice)
    send_all()

    assert verified_by(receiver, former, fresh) == [former, fresh]
