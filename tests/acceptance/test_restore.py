"""Backup and restore with the commands of ``docs/operating.md``, with revocations in between."""

import json
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.apikeys import services as apikeys
from accounts.mail.models import OutgoingMail
from accounts.mail.services import Queue
from accounts.sessions.models import LoginSession
from accounts.users import services as users
from accounts.users.models import User
from tests.proof import note
from tests.support.api import call, get_tokens, is_good, renew
from tests.support.disputes import lock_link
from tests.support.docs_examples import blocks_of, run_on_a_node
from tests.support.missing import find, missing
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.process import slack
from tests.support.signin import set_up, signed_in
from tests.support.site import Site
from tests.support.steps import (
    LOGIN,
    is_signed_in,
    join,
    make_user,
    outbox,
    same_browser,
    sign_in,
    sign_up,
    sql,
)

BACKUP = "manage.py backup"
# The words that identify the code block of a restore for each database.
RESTORES = {"sqlite": "cp backups/", "postgres": "pg_restore --clean"}
JWKS = "/.well-known/jwks.json"


@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_what_was_revoked_after_a_backup_stays_revoked(request, kind, tmp_path):
    """Withstands an operator's mistake."""
    if kind == "postgres":
        find("pg_dump") or missing("pg_dump")
    lines = [block.lines for block in blocks_of("operating.md", "sh")]
    (backup,) = (block for block in lines if BACKUP in block)
    (restore,) = (block for block in lines if RESTORES[kind] in block)
    with Site(**database(request, kind)) as site:
        alice = site.client()
        join(site, alice, "alice")
        tokens = get_tokens("alice", site.client()).body
        token_request = {"name": "robot", "scope": "profile:read"}
        key = call("keys/", token_request, client=site.client(), token=tokens["access"])["key"]
        assert is_good(key, site.client())
        kid = json.loads(site.client().get(JWKS).body)["keys"][0]["kid"]

        said = run_on_a_node(backup, site, tmp_path)
        assert "SECRET_KEY, from " in said
        assert (site.data_dir / "secret_key").read_text() not in said
        files = list((tmp_path / "backups").iterdir())
        assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
        # After the backup, all sessions and the API key are revoked, and bob signs up.
        sql(site, "UPDATE accounts_loginsession SET ended_at = begun_at")
        sql(site, "DELETE FROM accounts_apikey")
        sign_up(site.client(), "bob")
        assert not is_good(tokens["access"], site.client())
        site.stop()
        told = run_on_a_node(restore, site, tmp_path)
        site.start()

        assert "1 accounts have 2 sessions and 1 API keys, which are revoked now." in told
        assert "2 sessions and 1 API keys were revoked." in told
        assert same_browser(site, alice).get("/").location.startswith(LOGIN)
        assert not is_good(tokens["access"], site.client())
        assert not is_good(key, site.client())
        assert renew(tokens["refresh"], site.client()).code == "token_not_valid"
        assert kid not in site.client().get(JWKS).text
        site.wait_for_mail(to="alice@", subject="API key was revoked")
        # The rest is as in the backup: alice has her password, and bob does not exist.
        assert sign_in(site.client(), "alice").location == "/"
        assert sql(site, "SELECT 1 FROM accounts_pendingsignup") == []


@pytest.mark.django_db
def test_after_restore_can_lock_all_passwords():
    browser = signed_in(make_user("alice"))
    assert is_signed_in(browser)

    call_command("after_restore", "--lock-passwords", "--no-deletions", verbosity=0)

    assert not is_signed_in(browser)
    stranger = Browser()
    assert sign_in(stranger, "alice").status_code == 200
    assert not is_signed_in(stranger)


def with_access(names, *, has_key):
    """Create people with two addresses and a session, and an API key if ``has_key``."""
    for name in names:
        user = make_user(name)
        users.confirm_email(user, f"{name}@work.example")
        if has_key:
            apikeys.make(user, "robot", apikeys.scope_of("profile:read"), None, Actor())
        signed_in(user)


@pytest.mark.django_db
def test_after_restore_takes_as_many_statements_for_forty_people_as_for_two():
    def statements():
        with CaptureQueriesContext(connection) as queries:
            call_command("after_restore", "--no-deletions", "--notify", "all", verbosity=0)
        return len(queries)

    with_access(["alice", "bob"], has_key=True)
    statements()
    with_access(["erin", "dave"], has_key=True)
    few = statements()
    with_access([f"person{n}" for n in range(40)], has_key=True)

    assert statements() == few
    assert OutgoingMail.objects.filter(queue=Queue.MASS).count() == 2 * (2 + 2 + 40)


@pytest.mark.django_db
@pytest.mark.parametrize("who, told", [("none", 0), ("affected", 2), ("all", 4)])
def test_after_restore_notifies_whom_the_operator_chooses_in_one_email_to_each_address(who, told):
    with_access(["alice"], has_key=True)
    with_access(["bob"], has_key=False)
    make_user("dave")
    OutgoingMail.objects.all().delete()
    said = StringIO()

    call_command("after_restore", "--no-deletions", "--notify", who, stdout=said)

    assert "3 accounts have 2 sessions and 1 API keys, which are revoked now." in said.getvalue()
    mails = OutgoingMail.objects.all()
    assert [mail.queue for mail in mails] == [Queue.MASS] * told
    kinds = Activity.objects.filter(user__username="alice").values_list("kind", "detail", "actor")
    assert ("key_ended", "robot", "@operator") in kinds
    assert ("all_ended", "1", "@operator") in kinds
    assert not Activity.objects.filter(user__username="dave", kind="all_ended").exists()


@pytest.mark.django_db
def test_the_link_in_the_email_of_after_restore_locks_the_account():
    with_access(["alice"], has_key=True)
    call_command("after_restore", "--no-deletions", verbosity=0)

    link = lock_link("An API key was revoked · You were signed out everywhere")
    assert Browser().post(link).status_code == 200
    assert User.objects.get().is_locked_down


@pytest.mark.django_db
@pytest.mark.parametrize("days, granted", [(0, 14), (30, 30)])
def test_an_owner_may_keep_the_account_again_after_a_restore(clock, settings, days, granted):
    """Withstands an operator's mistake."""
    set_up(settings, deletion_days=days)
    alice = make_user("alice", deletion_due=clock.now() - timedelta(days=1))

    call_command("after_restore", "--no-deletions", verbosity=0)
    call_command("prune", verbosity=0)

    alice.refresh_from_db()
    assert alice.deletion_due == clock.now() + timedelta(days=granted)
    assert "/accounts/delete/undo/" in outbox()[-1].action_url


@pytest.mark.django_db
def test_after_restore_asks_for_the_log_of_deletions(tmp_path, settings):
    """Withstands an operator's mistake: a backup brings accounts back."""
    set_up(settings, deletion_log=str(tmp_path / "deletions.log"))
    alice = make_user("alice")
    with pytest.raises(CommandError, match="--deletions FILE"):
        call_command("after_restore")
    with pytest.raises(CommandError, match="--deletions FILE"):
        call_command("after_restore", "--deletions", tmp_path / "missing")
    copy = tmp_path / "copy"
    copy.write_text(f"2026-11-30T02:00:00Z {alice.pk}\n")

    call_command("after_restore", "--deletions", copy, verbosity=0)

    assert not User.objects.exists()


# Numbers that are read as an id, and as the text that makes a row unique.
IDS = {"sqlite": "printf('%032x', {})", "postgres": "lpad(to_hex({}), 32, '0')::uuid"}
PEOPLE, SESSIONS = 300_000, 1_000_000


def copy(site, model, count, **changes):
    """Insert copies of the only row of ``model``. ``changes``: SQL for columns, with a number n."""
    names = [field.column for field in model._meta.concrete_fields if field.column != "number"]
    names = [name for name in names if name in changes or name != "id"]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changes.get(name, f'"{name}"') for name in names)
    table = model._meta.db_table
    numbers = f"SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}"
    sql(
        site,
        f"INSERT INTO {table} ({columns}) WITH RECURSIVE numbers (n) AS ({numbers}) "
        f"SELECT {values} FROM numbers, {table}",
    )


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_after_restore_takes_a_minute_for_300000_people_and_a_million_sessions(request, kind):
    with Site(**database(request, kind)) as site:
        alice = site.client()
        join(site, alice, "alice")
        site.stop()
        id_of = IDS[kind].format
        names = dict.fromkeys(("username", "username_key"), "'person' || n")
        copy(site, User, PEOPLE, id=id_of("n"), **names)
        person = id_of(f"n - n / {PEOPLE} * {PEOPLE} + 1")
        copy(site, LoginSession, SESSIONS, id=id_of("n"), user_id=person)

        began = time.monotonic()
        told = site.manage("after_restore", "--no-deletions")
        seconds = time.monotonic() - began

    note(
        f"`after_restore` with {PEOPLE:,} people and {SESSIONS:,} sessions takes {seconds:.0f} s "
        f"({kind})."
    )
    assert f"300,001 of 300,001 accounts are done.\n{SESSIONS + 1} sessions" in told
    assert seconds < 60 * slack()
