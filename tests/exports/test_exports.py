"""A person takes their data along: what the file has, and when it can be had."""

import io
import json
import tracemalloc
from zipfile import ZipFile

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common.personal_data import SECRET, TABLES
from accounts.exports import services
from accounts.exports.models import Export, ExportPart
from accounts.users import services as users
from accounts.users.models import User
from tests.support.api import call, get_tokens
from tests.support.api_keys import key_of
from tests.support.second_factor import confirm_recovery_codes, set_up_authenticator
from tests.support.signin import signed_in
from tests.support.steps import mail_to, make_user, sign_in

DATA = "/accounts/data/"
# What the download itself adds.
SINCE = {"accounts.Activity", "accounts.OutgoingMail"}


def asked(browser):
    """Ask for an export on the page, make it, and return it."""
    assert browser.post(DATA).url == DATA
    assert services.make_due()
    return Export.objects.latest("created_at")


def download(browser, export):
    return browser.post(DATA, {"download": str(export.pk)})


def opened(answer):
    """Return the files in the answer, by name."""
    raw = b"".join(answer.streaming_content)
    assert len(raw) == int(answer["Content-Length"])
    with ZipFile(io.BytesIO(raw)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def test_the_file_has_every_row_of_the_person_as_the_schema_says_and_no_secret_and_nobody_else():
    """Withstands a spy: an export has too much."""
    browser, bob = Client(), make_user("bob", about="not for alice")
    alice = make_user("alice", language="de", about="loves <b>otters</b>")
    sign_in(browser, "alice")
    set_up_authenticator(browser)
    confirm_recovery_codes(browser)
    key_of(alice)
    sign_in(Client(), "bob")
    record(alice, events.STAFF_ACTED, Actor(reason="bob asked"), detail="bob: Deactivate")
    files = opened(download(browser, asked(browser)))

    data, schema = json.loads(files["data.json"]), json.loads(files["schema.json"])
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(data)
    person = users.person_of(User.objects.get(pk=alice.pk))
    secrets = set()
    for label, table in TABLES.items():
        rows = apps.get_model(label).objects.filter(table.of(person))
        if table.exported and label not in SINCE:
            assert len(data["tables"][label]) == rows.count(), label
        columns = [name for name, column in table.columns.items() if column.withheld == SECRET]
        secrets |= {str(row[name]) for row in rows.values() for name in columns if row[name]}
    assert len(secrets) > 5
    text = b"".join(files.values()).decode()
    assert [secret for secret in secrets if secret in text] == []
    assert "bob" not in text
    assert bob.about not in text
    page = files["index.html"].decode()
    assert "loves &lt;b&gt;otters&lt;/b&gt;" in page
    assert "Eine Authenticator-App wurde hinzugefügt." in page


THINGS = [["mailbox", "alice@example.com"], ["factor", "7"]]


@pytest.mark.parametrize(
    "column, value, words",
    [
        ("accounts.User.language", "de", "Deutsch"),
        ("accounts.Activity.kind", "signed_out", "Signed out."),
        ("accounts.Activity.detail", f"@{'0' * 8}-0000-4000-8000-{'0' * 12}", "a deleted account"),
        ("accounts.Activity.proof", "pwd otp", "password and authenticator app"),
        ("accounts.LoginSession.amr", ["pwd", "otp"], "password and authenticator app"),
        ("accounts.LoginSession.kind", "connected", "Connected app"),
        ("accounts.LoginSession.ended_by", "password_changed", "The password was changed."),
        ("accounts.LoginSession.scope", "read", "View: Profile"),
        ("accounts.APIKey.scope", "sessions:read", "View: Devices"),
        ("accounts.Passkey.aaguid", "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "Apple Passwords"),
        ("accounts.FormerCredential.kind", "factor", "Passkey or authenticator app"),
        ("accounts.Recovery.asked", THINGS, "Your email, Your passkey or a code"),
        ("accounts.Recovery.at_support", [THINGS, THINGS[:1]], "; Your email"),
        ("accounts.Recovery.lone_locks", {"a@example.com": "2026-11-30T09:00:00+00:00"}, "a@exa"),
        ("accounts.Identity.issuer", "https://unknown.example", "https://unknown.example"),
        ("administration.BulkAct.act", "end-sessions", "Sign out sessions"),
        ("oauth.Connection.scope", "openid email", "sees your email address"),
        ("oauth.Connection.scope", "openid", "sees only an ID that stands for your account"),
        ("admin.LogEntry.action_flag", 2, "Change"),
    ],
)
def test_the_page_shows_values_in_words(column, value, words):
    label, _dot, name = column.rpartition(".")

    assert words in services._value_in_words(TABLES[label], {"kind": "key_made", name: value}, name)


def test_a_lease_is_renewed_while_a_table_is_written(browser, clock):
    browser.post(DATA)
    (export,) = services.QUEUE.claim([Export.objects.get().pk])
    writer = services._Writer(export)
    for _ in range(9):
        clock.advance(seconds=10)
        writer.write(b"")

        assert Export.objects.get().due_at == clock.now() + services.QUEUE.lease


def test_a_file_is_fetched_once_and_the_owner_is_told_of_both(browser):
    export = asked(browser)
    page = browser.get(DATA).text
    assert f'name="download" value="{export.pk}"' in page
    assert "was requested" in mail_to("alice").subject

    names = {"style.css", "schema.json", "data.json", "index.html"}
    assert set(opened(download(browser, export))) == names
    assert "was downloaded" in mail_to("alice").subject
    assert not ExportPart.objects.exists()
    assert download(browser, export).url == DATA
    assert "already downloaded" in browser.get(DATA).text


def test_a_file_is_there_for_a_day_and_an_account_may_ask_three_times_in_it(browser, alice, clock):
    exports = [asked(browser) for _ in range(3)]
    refused = browser.post(DATA)
    assert (refused.status_code, refused["Retry-After"]) == (429, str(24 * 3600))

    clock.advance(days=1)
    browser = signed_in(User.objects.get())
    assert download(browser, exports[0]).url == DATA
    call_command("prune")
    assert not ExportPart.objects.exists()
    assert asked(browser)


def test_a_broken_download_leaves_nothing(browser):
    pieces = services.fetch(asked(browser), Actor())
    next(pieces)
    pieces.close()

    assert not ExportPart.objects.exists()


def test_another_process_makes_the_file_anew_after_one_was_killed_in_the_middle(
    browser, clock, monkeypatch
):
    """Withstands a failure."""

    class Killed(BaseException):
        pass

    def die(*_args):
        raise Killed

    browser.post(DATA)
    with monkeypatch.context() as patch:
        patch.setattr(services, "PART", 100)
        patch.setattr(services._Writer, "finish", die)
        with pytest.raises(Killed):
            services.make_due()
    assert ExportPart.objects.count() > 9
    export = Export.objects.get()
    assert export.steps_done == export.steps
    assert browser.get(f"{DATA}?progress").json()["isMade"] is False
    assert download(browser, export).url == DATA, "it isn't complete"
    assert not services.make_due(), "it is leased"

    clock.advance(minutes=1, seconds=1)
    assert services.make_due()
    assert "index.html" in opened(download(browser, export))


def test_a_process_whose_lease_another_has_taken_over_leaves_nothing_behind(browser, monkeypatch):
    browser.post(DATA)
    write = services.write

    def outlived(user, sink, step):
        Export.objects.update(due_at=Export.objects.get().created_at)
        with monkeypatch.context() as patch:
            patch.setattr(services, "write", write)
            assert services.make_due()
        write(user, sink, step)

    monkeypatch.setattr(services, "write", outlived)
    services.make_due()

    assert "index.html" in opened(download(browser, Export.objects.get()))


def test_an_export_that_fails_is_tried_again(browser, clock, monkeypatch):
    browser.post(DATA)
    with monkeypatch.context() as patch:
        patch.setattr(services, "_style", lambda: 1 / 0)
        services.make_due()
    assert not services.make_due()

    clock.advance(seconds=31)
    assert services.make_due()
    assert Export.objects.get().made_at


def test_a_long_history_takes_no_more_memory_than_a_short_one(browser, alice, clock):
    """Withstands a flood."""
    rows = (Activity(user=alice, kind="signed_in", ip=f"192.0.2.{n}") for n in range(12_000))
    Activity.objects.bulk_create(rows, batch_size=1000)
    browser.post(DATA)
    tracemalloc.start()
    services.make_due()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    files = opened(download(browser, Export.objects.get()))
    assert len(files["data.json"]) > 2_000_000
    assert peak < 4_000_000 + 2 * services.PART


def test_over_the_api_the_file_follows_the_answer_202_and_is_there_once(alice):
    token = get_tokens()["access"]
    asked = call("me/exports/", {}, token=token)
    assert asked.status == 202
    path = f"me/exports/{asked['id']}/"
    assert asked.headers["Location"].endswith(path)
    waiting = call(path, token=token)
    assert (waiting.status, waiting["steps_done"], waiting.headers["Retry-After"]) == (202, 0, "2")

    services.make_due()
    assert call(path, method="HEAD", token=token).status == 405
    made = call(path, token=token)

    assert (made.status, made.headers["Content-Type"]) == (200, "application/zip")
    assert call(path, token=token).code == "not_found"
