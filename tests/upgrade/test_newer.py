"""Rows of a newer node: what this code does not know is kept, and nothing fails because of it.

``PLANTS`` has each column with JSON or with one of several words, so a new one needs an entry.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.models import CharField, JSONField, QuerySet
from django.test import Client as Browser

from accounts.activity.models import Activity, DailyCount
from accounts.administration.models import BulkAct, BulkPerson
from accounts.common import clock
from accounts.common.proofs import Proof
from accounts.exports import services
from accounts.oauth.clients.models import Client, FetchedKeys, RegistrationToken
from accounts.recovery.models import Recovery
from accounts.settingsfile.models import MadeByFile
from accounts.signin import policy
from accounts.throttle.models import Refusals
from accounts.tokens import keyring, keys
from accounts.tokens.models import SigningKey
from accounts.users.models import FormerCredential, User
from accounts.webhooks.models import Endpoint
from tests.support import release
from tests.support.authorize import begin
from tests.support.disputes import reset_link
from tests.support.oauth_client import new_app
from tests.support.signin import signed_in
from tests.support.urls import CALLS, PAGES, address
from tests.support.webhooks import told_at

NEW = "newer"
PAIR = [NEW, NEW, NEW]


def word(_value):
    return NEW


def scope(value):
    return f"{value} {NEW}"


def list_of(*new):
    return lambda value: [*(value or []), *new]


def member(value):
    return {**(value or {}), NEW: NEW}


def credential(data):
    return member(data | {"fields": member(data["fields"])}) if "fields" in data else member(data)


def key_set(value):
    return {**(value or {}), "keys": [{"kty": NEW, NEW: NEW}], NEW: NEW}


# How a newer node could write each column.
PLANTS: dict[str, Callable[[Any], Any]] = {
    "accounts.APIKey.scope": scope,
    "accounts.Activity.kind": word,
    "accounts.Activity.proof": word,
    "accounts.Code.purpose": word,
    "accounts.DailyCount.event": word,
    "accounts.DailyCount.method": word,
    "accounts.FormerCredential.data": credential,
    "accounts.FormerCredential.kind": word,
    "accounts.LoginSession.amr": list_of(NEW),
    "accounts.LoginSession.ended_by": word,
    "accounts.LoginSession.kind": word,
    "accounts.LoginSession.scope": scope,
    "accounts.MadeByFile.kind": word,
    "accounts.MailReceipt.failure": word,
    "accounts.Passkey.transports": list_of(NEW),
    "accounts.Recovery.asked": list_of(PAIR),
    "accounts.Recovery.at_support": list_of([PAIR]),
    "accounts.Recovery.lone_locks": member,
    "accounts.Recovery.mails": list_of(str(uuid4())),
    "accounts.Recovery.stopped": list_of(NEW),
    "accounts.Recovery.stopped_by": list_of(PAIR),
    "accounts.Refusals.limit": word,
    "accounts.SigningKey.algorithm": word,
    "accounts.SigningKey.public": member,
    "accounts.TokenChallenge.kind": word,
    "accounts.TokenChallenge.proofs": list_of([NEW, clock.now().isoformat(), NEW, NEW]),
    "accounts.TokenChallenge.scope": scope,
    "accounts.User.language": word,
    "administration.BulkAct.act": word,
    "administration.BulkAct.stopped": word,
    "administration.BulkPerson.outcome": word,
    "oauth.AuthorizationCode.scope": scope,
    "oauth.AuthorizationRequest.prompts": word,
    "oauth.AuthorizationRequest.response_mode": word,
    "oauth.AuthorizationRequest.scope": scope,
    "oauth.Client.audiences": list_of(NEW),
    "oauth.Client.factor": word,
    "oauth.Client.id_token_algorithm": lambda _value: NEW,
    "oauth.Client.jwks": key_set,
    "oauth.Client.logout_uris": list_of(NEW),
    "oauth.Client.redirect_uris": list_of(NEW),
    "oauth.Client.scope": scope,
    "oauth.Client.source": word,
    "oauth.Connection.scope": scope,
    "oauth.DeviceAuthorization.scope": scope,
    "oauth.FetchedKeys.jwks": key_set,
    "oauth.RegistrationToken.audiences": list_of(NEW),
    "oauth.RegistrationToken.scope": scope,
    "webhooks.Endpoint.format": word,
    "webhooks.Endpoint.groups": list_of(10**6),
    "webhooks.Endpoint.kinds": list_of(NEW),
}
WORDS = {"kind", "proof", "purpose", "event", "method", "failure", "ended_by", "limit"}
WORDS |= {"algorithm", "act", "stopped", "outcome", "factor", "source", "language", "format"}
WORDS |= {"scope", "prompts", "response_mode", "id_token_algorithm"}


def is_planted(field):
    return isinstance(field, JSONField) or (isinstance(field, CharField) and field.name in WORDS)


def test_each_column_with_json_or_words_is_planted():
    models = [m for m in apps.get_models() if m._meta.app_config.name.startswith("accounts")]
    columns = [f for m in models for f in m._meta.concrete_fields if is_planted(f)]

    assert {f"{f.model._meta.label}.{f.name}" for f in columns} == PLANTS.keys()


TOMORROW = clock.now() + timedelta(days=1)
KEYS = "https://app.example/keys"
# Commands that read the rows of everybody.
COMMANDS = [
    "prune",
    "export_users",
    "show_user locked",
    "show_user waiting",
    "rehash",
    "doctor",
    "dump",
]


@pytest.fixture
def world(db):
    keyring.add(*map(keys.generate, ("ES256", "RS256")))
    names = ("alice", "locked", "waiting", "carol", "app", "device")
    made = {name: getattr(release, name)() for name in names}
    carol = User.objects.get(username="carol")
    User.objects.filter(pk=carol.pk).update(is_superuser=True)
    bulk = BulkAct.objects.create(staff=carol, act="deactivate", started_at=clock.now())
    BulkPerson.objects.create(bulk=bulk, user=carol)
    Recovery.objects.update(support_asked_at=clock.now(), stopped_at=clock.now())
    FetchedKeys.objects.create(client=Client.objects.first(), uri=KEYS, tried_at=clock.now())
    RegistrationToken.objects.create(id=NEW, clients_left=1, expires_at=TOMORROW)
    locked = User.objects.get(username="locked")
    FormerCredential.objects.create(
        user=locked,
        kind="factor",
        removed_at=clock.now(),
        data={"model": f"accounts.{NEW}", "pk": 1, "fields": {}},
    )
    MadeByFile.objects.create(kind=NEW, mark=NEW)
    Refusals.objects.create(day=clock.now().date(), limit=NEW, count=1)
    begin(Browser(), new_app("Other").client)
    told_at("https://hook.example.org")
    DailyCount.objects.create(day=clock.now().date(), event=NEW, is_known=True, count=1)
    SigningKey.objects.create(number=99, kid=NEW, public={}, private=NEW, signs_at=clock.now())
    return made


def plant():
    """Let a newer node write each column, words only in the last row; return what it wrote."""
    planted = {}
    for column, write in PLANTS.items():
        label, _, name = column.rpartition(".")
        model = apps.get_model(label)
        rows = list(model._base_manager.order_by("pk").values_list("pk", name))
        assert rows, column
        for pk, value in rows if isinstance(model._meta.get_field(name), JSONField) else rows[-1:]:
            planted[column, pk] = write(value)
            # Events refuse updates.
            QuerySet(model).filter(pk=pk).update(**{name: planted[column, pk]})
    return planted


def keys_of(model):
    return list(model.objects.values_list("pk", flat=True))


def stored(column, pk):
    label, _, name = column.rpartition(".")
    return apps.get_model(label)._base_manager.values_list(name, flat=True).get(pk=pk)


def test_nothing_fails_because_of_what_a_newer_node_wrote_and_nothing_is_lost(world):
    """Withstands a failure."""
    links = [reset_link(name) for name in ("waiting", "locked")]
    alice, carol = Browser(), signed_in(User.objects.get(username="carol"))
    alice.cookies.load(world["alice"]["browser"])
    program = Browser(headers={"Authorization": f"Bearer {world['alice']['tokens']['access']}"})
    planted = plant()
    of_staff = [f"/admin/accounts/user/{pk}/change/" for pk in keys_of(User)]
    of_staff += [f"/admin/oauth/client/{pk}/change/" for pk in keys_of(Client)]
    of_staff += [f"/admin/webhooks/endpoint/{pk}/change/" for pk in keys_of(Endpoint)]
    of_staff += [f"/admin/accounts/user/bulk/{pk}/" for pk in keys_of(BulkAct)]
    pages = [address(route) for route in PAGES if route != "health/ready"]
    pages += [f"/accounts/activity/{pk}/" for pk in keys_of(Activity)]

    answers = [program.get(address(route)) for route in CALLS]
    answers += [browser.get(page) for browser in (alice, carol) for page in pages]
    answers += [carol.get(page) for page in of_staff] + [Browser().get(link) for link in links]
    answers.append(begin(carol, Client.objects.get(factor=NEW)))
    for command in COMMANDS:
        with suppress(SystemExit):
            call_command(*command.split(), stdout=io.StringIO())
    for user in User.objects.all():
        services.write(user, io.BytesIO(), int)

    assert {answer.status_code for answer in answers} <= {200, 302, 400, 401, 403, 404, 405, 409}
    assert {key: stored(*key) for key in planted} == planted
    assert SigningKey.objects.get(algorithm=NEW).unused_at is None


def test_a_sign_in_with_a_method_that_only_a_newer_node_knows_starts_over(alice):
    proof = Proof.from_json([NEW, clock.now().isoformat(), "", NEW])

    assert proof.to_json() == [NEW, proof.at.isoformat(), ""]
    assert policy.next_requirement(alice, (proof,)) is policy.Requirement.CREDENTIAL
