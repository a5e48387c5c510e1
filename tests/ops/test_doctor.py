"""Operation."""

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from smtplib import SMTP
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import signing
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from redis import Redis

from accounts.codes.models import Code
from accounts.common import clock
from accounts.common.secrets import encryption_key
from accounts.mail.models import OutgoingMail
from accounts.ops import health
from accounts.ops.doctor import inside
from accounts.ops.doctor.findings import WORDS, found
from accounts.ops.measurements import BACKUP, VERIFY, failed, succeeded
from accounts.ops.models import LastSuccess
from accounts.passwords import foreign, mix
from accounts.tokens import keyring
from accounts.tokens.models import SigningKey
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from authsite import sbom
from authsite.settings import mailer
from tests.support.apps import make_app
from tests.support.doctor import FAULTS
from tests.support.process import free_port
from tests.support.second_factor import enrolled
from tests.support.signin import set_up
from tests.support.smtp import MailServer
from tests.support.steps import make_user, sign_up

Migration = MigrationRecorder.Migration
LONG_AGO, TWO_DAYS = timedelta(days=400), timedelta(days=2)


@pytest.fixture(autouse=True)
def healthy(settings, tmp_path):
    """Make the site of the test process one with which nothing is wrong."""
    with MailServer() as server:
        set_up(settings, environment="production", data_dir=tmp_path, email_url=server.url)
        settings.MAILERS = {"default": mailer(server.url)}
        settings.STATIC_ROOT = tmp_path
        make_user("carol", is_staff=True, is_superuser=True, has_factor=True)
        keyring.rotate(now=True)
        succeeded(BACKUP)
        succeeded(VERIFY)
        yield


def failing(error):
    def fail(*_args):
        raise error

    return fail


def plant_mail_down(settings, _patch):
    settings.MAILERS = {"default": mailer(f"smtp+plain://127.0.0.1:{free_port()}")}


def plant_open_secret(settings, patch):
    file = settings.AUTHSITE.data_dir / "secret"
    file.write_text("hunter2")
    file.chmod(0o644)
    patch.setenv("SECRET_KEY_FILE", str(file))


def plant_full_disk(_settings, patch):
    usage = SimpleNamespace(free=9 << 20, total=1 << 40)
    patch.setattr(inside.shutil, "disk_usage", lambda _folder: usage)


def plant_unreadable_key(settings, _patch):
    set_up(settings, encryption_keys=(encryption_key(),))
    keyring.forget()


def plant_unreadable_secret(_settings, _patch):
    enrolled(make_user("alice"))
    Authenticator.objects.update(sealed_seed="encrypted with a lost key")


def plant_late_mail(_settings, _patch):
    sign_up(Client(), "alice")
    OutgoingMail.objects.update(created_at=clock.now() - timedelta(minutes=40))


def plant_expired_code(_settings, _patch):
    sign_up(Client(), "alice")
    Code.objects.update(expires_at=clock.now() - timedelta(days=3))


def plant_weak_hash(_settings, _patch):
    make_user("bob")
    User.objects.filter(username="bob").update(password=foreign.accept("0" * 32))
    mix.store()


def plant_old_success(command):
    Migration.objects.update(applied=clock.now() - LONG_AGO)
    LastSuccess.objects.filter(command=command).update(at=clock.now() - TWO_DAYS)


def plant_missing_migration(_settings, _patch):
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'administration' AND name LIKE '0002%%'"
        )


def plant_stopped_database(_settings, patch):
    stopped = SimpleNamespace(ensure_connection=failing(OperationalError))
    patch.setattr(inside, "connection", stopped)


PLANTED: dict[str, Callable[[Any, pytest.MonkeyPatch], object]] = {
    "development": lambda settings, _patch: set_up(settings, environment="development"),
    "limits_scaled": lambda settings, _patch: set_up(settings, limits_scale=1000.0),
    "setting_unknown": lambda _s, patch: patch.setenv("TRUSTED_PROXY", "10.0.0.1"),
    "data_undeclared": lambda _s, patch: patch.setattr(
        "accounts.ops.doctor.inside.NOT_PERSONAL", {}
    ),
    "secret_file_open": plant_open_secret,
    "migrations_missing": plant_missing_migration,
    "provider_left": lambda _s, patch: patch.setattr(health, "has_left_provider", bool),
    "redis_down": lambda s, _p: set_up(s, redis_url=f"redis://127.0.0.1:{free_port()}/0"),
    "mail_down": plant_mail_down,
    "mail_refused": lambda _s, patch: patch.setattr(SMTP, "rcpt", lambda *_: (550, b"no")),
    "mail_files": lambda settings, _patch: set_up(settings, email_url="file:///mail"),
    "mail_late": plant_late_mail,
    "static_missing": lambda settings, _patch: setattr(settings, "STATIC_ROOT", None),
    "signing_key_unreadable": plant_unreadable_key,
    "secrets_unreadable": plant_unreadable_secret,
    "signing_key_old": lambda _s, _p: SigningKey.objects.update(signs_at=clock.now() - LONG_AGO),
    "staff_without_factor": lambda _s, _p: make_user("bob", is_staff=True),
    "apps_in_development": lambda _s, _p: make_app(is_development=True),
    "no_owner": lambda _s, _p: User.objects.update(is_superuser=False),
    "hashes_weak": plant_weak_hash,
    "prune_late": plant_expired_code,
    "backup_old": lambda _s, _p: plant_old_success(BACKUP),
    "backup_unverified": lambda _s, _p: plant_old_success(VERIFY),
    "backup_refused": lambda _s, _p: failed(VERIFY),
    "disk_full": plant_full_disk,
    "database_down": plant_stopped_database,
    "check_failed": lambda _s, patch: patch.setattr(inside, "_people", failing(ValueError)),
}


def codes(settings):
    return [finding.code for finding in inside.check(settings.AUTHSITE)]


@pytest.mark.parametrize("code", ["", *PLANTED])
def test_the_doctor_finds_exactly_the_planted_fault(settings, monkeypatch, code):
    if code:
        PLANTED[code](settings, monkeypatch)

    assert codes(settings) == ([code] if code else [])


@pytest.mark.redis
def test_the_doctor_finds_a_redis_that_may_forget_limits(settings, request):
    """Withstands an operator's mistake."""
    redis_server = request.getfixturevalue("redis_server")
    set_up(settings, redis_url=redis_server.url)
    redis_server.flush()

    with Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        assert codes(settings) == [], "its memory has no limit"
        assert all(client.ttl(key) >= 0 for key in client.scan_iter()), (
            "a check leaves nothing behind"
        )
        client.set("https://other.example.org:budget:x", 1)
        client.config_set("maxmemory", "100mb")
        assert codes(settings) == ["redis_evicts", "redis_shared"]
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()
        assert codes(settings) == []
        client.config_set("maxmemory", "0")


def test_the_doctor_misses_backups_in_an_older_database_unless_another_program_makes_them(
    settings, clock
):
    LastSuccess.objects.all().delete()
    Migration.objects.update(applied=clock.now() - timedelta(days=1))
    assert codes(settings) == []
    Migration.objects.update(applied=clock.now() - TWO_DAYS)
    assert codes(settings) == ["backup_old"]
    set_up(settings, backup_days=0)
    assert codes(settings) == []


def test_the_command_says_what_to_do_and_exits_with_1_if_anything_is_wrong():
    make_user("bob", is_staff=True)
    told = io.StringIO()

    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", "--inside", stdout=told)

    assert "1 of the staff have no second factor: bob\n  They add one" in told.getvalue()


def test_every_finding_is_planted_somewhere_and_has_a_sentence_and_advice():
    of_postgresql = {"database_role", "database_clock", "database_read_only", "commits_unsafe"}
    of_postgresql |= {"connections_few", "replication_late"}
    of_redis = {"redis_evicts", "redis_shared"}
    assert WORDS.keys() == PLANTED.keys() | set(FAULTS.values()) | of_postgresql | of_redis
    for code in WORDS:
        finding = found(code, "one", "two", "three", "four")
        assert "{" not in finding.sentence + finding.advice


def test_a_server_process_answers_only_a_doctor_that_has_its_secret_key(
    client, monkeypatch, settings
):
    """Withstands a spy."""

    def status(authorization):
        return client.post(inside.PATH, headers={"Authorization": authorization}).status_code

    good = inside.token()
    assert [status(given) for given in ("", "Bearer x", good[:-1], good)] == [404, 404, 404, 200]
    monkeypatch.setattr(signing.time, "time", lambda: time.time_ns() / 1e9 + inside.SECONDS + 1)
    assert status(good) == 404, "after a minute"
    monkeypatch.undo()
    settings.SECRET_KEY = "another"
    settings.SECRET_KEY_FALLBACKS = []
    assert status(good) == 404


def test_the_bill_of_materials_lists_every_pinned_package_with_every_hash_that_pip_accepts():
    requirements = (sbom.ROOT / "requirements.txt").read_text()
    parts = sbom.document(requirements, datetime.now(UTC))["components"]

    assert len(parts) == sum(line[:1].isalnum() for line in requirements.splitlines())
    assert sum(len(part["externalReferences"]) for part in parts) == requirements.count("sha256:")
    licenses = {part["name"]: part["licenses"] for part in parts}
    assert licenses["django"] == [{"expression": "BSD-3-Clause"}]
