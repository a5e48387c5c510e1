"""Backup and restore with the commands of ``docs/operating.md``, with revocations in between."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from accounts.users.models import User
from tests.support.api import call, get_tokens, is_good, renew
from tests.support.docs_examples import Shell, blocks_of
from tests.support.missing import find, missing
from tests.support.nodes import POSTGRES_PROVED, database
from tests.support.signin import set_up, signed_in
from tests.support.site import ROOT, Site
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


def run(lines, site, folder):
    """Run commands in a folder that looks like a checkout with the site's data in `var`."""
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    own = {"ENVIRONMENT": "development", "DATA_DIR": str(site.data_dir)}
    with Shell(folder, path | site.env | own) as shell:
        return shell.run(lines)


@pytest.mark.parametrize("kind", POSTGRES_PROVED)
def test_what_was_revoked_after_a_backup_stays_revoked(request, kind, tmp_path):
    if kind == "postgres":
        find("pg_dump") or missing("pg_dump")
    lines = [block.lines for block in blocks_of("operating.md", "sh")]
    (backup,) = (block for block in lines if BACKUP in block)
    (restore,) = (block for block in lines if RESTORES[kind] in block)
    with Site(**database(request, kind)) as site:
        (tmp_path / "var").symlink_to(site.data_dir)
        (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
        alice = site.client()
        join(site, alice, "alice")
        tokens = get_tokens("alice", site.client()).body
        token_request = {"name": "robot", "scope": "profile:read"}
        key = call("keys/", token_request, client=site.client(), token=tokens["access"])["key"]
        assert is_good(key, site.client())
        kid = json.loads(site.client().get(JWKS).body)["keys"][0]["kid"]

        said = run(backup, site, tmp_path)
        assert "SECRET_KEY, from " in said
        assert (site.data_dir / "secret_key").read_text() not in said
        files = list((tmp_path / "backups").iterdir())
        assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 2
        # After the backup, all sessions and the API key are revoked, and bob signs up.
        sql(site, "UPDATE accounts_loginsession SET ended_at = begun_at")
        sql(site, "DELETE FROM accounts_apikey")
        sign_up(site.client(), "bob")
        assert not is_good(tokens["access"], site.client())
        site.stop()
        told = run(restore, site, tmp_path)
        site.start()

        assert "2 sessions and 1 API keys were revoked." in told
        assert same_browser(site, alice).get("/").location.startswith(LOGIN)
        assert not is_good(tokens["access"], site.client())
        assert not is_good(key, site.client())
        assert renew(tokens["refresh"], site.client()).code == "token_not_valid"
        assert kid not in site.client().get(JWKS).text
        site.wait_for_mail(to="alice@", subject="API key was removed")
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


@pytest.mark.django_db
def test_an_owner_may_keep_the_account_again_after_a_restore(clock):
    alice = make_user("alice", deletion_due=clock.now() - timedelta(days=1))

    call_command("after_restore", "--no-deletions", verbosity=0)

    alice.refresh_from_db()
    assert alice.deletion_due == clock.now() + timedelta(days=14)
    assert "/accounts/delete/undo/" in outbox()[-1].action_url


@pytest.mark.django_db
def test_after_restore_asks_for_the_log_of_deletions(tmp_path, settings):
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
