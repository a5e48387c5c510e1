"""The doctor's checks that need only the settings, the database and other services.

Some of them request a page of the site that only the doctor can read: it signs its request with
``SECRET_KEY``, for a minute.
"""

import os
import resource
import shutil
import smtplib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IROTH
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.mail import mailers
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F, Min, Q
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from accounts.codes.models import Code
from accounts.common import clock, crypto, environment
from accounts.common.config import Config
from accounts.common.personal_data import NOT_PERSONAL, TABLES
from accounts.common.signals import registered
from accounts.mail import services as mail
from accounts.mail.message import support_email
from accounts.mail.models import OutgoingMail
from accounts.ops import health
from accounts.ops.doctor.findings import Finding, found
from accounts.ops.health import LOW_BYTES, LOW_SHARE, missing
from accounts.ops.measurements import BACKUP, NEVER, VERIFY, connections, successes
from accounts.ops.models import LastSuccess
from accounts.passwords import foreign, mix
from accounts.tokens import keyring
from accounts.twofactor.models import CODES_PURPOSE, SEED_PURPOSE, Authenticator, RecoveryCodes
from accounts.users.models import User

PATH = "/health/doctor"
SECONDS = 60


def token() -> str:
    """Return a value for the header ``Authorization`` that this site accepts for a minute."""
    return f"Bearer {_signer().sign('doctor')}"


@csrf_exempt
@login_not_required
def doctor(request: HttpRequest) -> HttpResponse:
    """Show ``doctor`` how its request was received; return status 404 to everybody else."""
    try:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        _signer().unsign(given, max_age=SECONDS)
    except signing.BadSignature:
        return JsonResponse({"detail": "Not Found.", "code": "not_found"}, status=404)
    return JsonResponse(_facts(request.META, request.scheme or ""))


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="accounts.ops.doctor")


def _facts(meta: dict[str, Any], scheme: str) -> dict[str, Any]:
    return {
        "ip": meta.get("REMOTE_ADDR", ""),
        "forwarded": meta.get("HTTP_X_FORWARDED_FOR", ""),
        "underscore": "HTTP_X_DOCTOR_PROBE" in meta,
        "scheme": scheme,
        # How long the server has waited for the request body.
        "body_seconds": meta.get("authsite.body_seconds", 0.0),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


type Check = Callable[[Config], Iterator[Finding]]

CLOCK_SECONDS = 2.0
MAIL_LATE_SECONDS = 15 * 60
# How late a key may be replaced, and the maximum age of a key that is not replaced automatically.
LATE, OLDEST = timedelta(days=7), timedelta(days=365)
EXPIRED = timedelta(days=2)
ROLE = "SELECT current_user, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
# Only roles that may monitor the server see the lag. The nodes are the clients that are connected
# now.
SERVER = """
SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
  current_setting('synchronous_commit') = 'off',
  (SELECT extract(epoch FROM max(replay_lag))::float FROM pg_stat_replication),
  (SELECT count(DISTINCT client_addr) FROM pg_stat_activity WHERE usename = current_user)
"""
LAG_SECONDS = 60
# The connections of a node: 16 requests at once, emails, exports, notices, health checks, metrics
# and commands.
CONNECTIONS = 24
# SMTP status codes from this number on are permanent (RFC 5321 section 4.2.1).
PERMANENT = 500
NAMED = 5
# How similar a variable must be to a setting. SSL_CERT_FILE, a variable of other programs, is less
# similar to TLS_CERT_FILE.
ALIKE = 0.85
SAMPLE = 100


def check(config: Config) -> Iterator[Finding]:
    """Run all checks. If a check raises an error, this is a finding, too."""
    yield from _settings(config)
    yield from _disk(config)
    yield from _personal_data()
    yield from _run("mail", _mail_server, config)
    if config.redis_url:
        yield from _run("Redis", _redis, config)
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        yield found("database_down", type(error).__name__)
        return
    if count := missing():
        yield found("migrations_missing", count)
        return
    if health.has_left_provider(MigrationRecorder(connection).applied_migrations()):
        yield found("provider_left")
    own = (_database, _waiting_mail, _secrets, _keys, _people, _daily_job, _backups)
    for check in (*own, *registered("doctor_checks")):
        yield from _run(check.__name__.strip("_").replace("_", " "), check, config)


def _run(name: str, check: Check, config: Config) -> Iterator[Finding]:
    try:
        yield from check(config)
    except Exception as error:  # the other checks must still run
        yield found("check_failed", name, type(error).__name__)


def _settings(config: Config) -> Iterator[Finding]:
    if config.development:
        yield found("development")
    if config.limits_scale != 1:
        yield found("limits_scaled", f"{config.limits_scale:g}")
    if not settings.STATIC_ROOT:
        yield found("static_missing")
    known = environment.names()
    for name in sorted({name for name, text in os.environ.items() if text} - known):
        if meant := environment.meant(name, known, ALIKE):
            yield found("setting_unknown", name, meant)
    files = [path for name, path in os.environ.items() if name.endswith("_FILE") and path]
    for file in (Path(path) for path in [str(settings.BASE_DIR / ".env"), *sorted(files)]):
        is_secret = "BEGIN CERTIFICATE" not in _head(file)
        if is_secret and file.is_file() and file.stat().st_mode & S_IROTH:
            yield found("secret_file_open", file)


def _disk(config: Config) -> Iterator[Finding]:
    usage = shutil.disk_usage(config.data_dir)
    if usage.free < min(LOW_BYTES, LOW_SHARE * usage.total):
        yield found("disk_full", usage.free >> 20, config.data_dir)


def _personal_data() -> Iterator[Finding]:
    if names := undeclared():
        yield found("data_undeclared", some(names))


def undeclared() -> list[str]:
    """Return the tables and columns that are missing from the inventory of personal data."""
    absent = []
    for model in apps.get_models(include_auto_created=True):
        label = model._meta.label
        if label not in TABLES.keys() | NOT_PERSONAL.keys():
            absent.append(label)
        elif table := TABLES.get(label):
            owner = str(table.rows).split("__")[0] if table.is_cascading else ""
            names = {field.name for field in model._meta.concrete_fields} - {owner, "pk"}
            absent += [f"{label}.{name}" for name in sorted(names - table.columns.keys())]
    return absent


def _mail_server(config: Config) -> Iterator[Finding]:
    if config.email_url.startswith("file:"):
        if not config.development:
            yield found("mail_files")
        return
    server = mailers.default
    try:
        # This also signs in, if EMAIL_URL has a password.
        server.open()
        if smtp := getattr(server, "connection", None):
            yield from _refusal(smtp, config)
        server.close()
    except OSError as error:
        yield found("mail_down", type(error).__name__)


def _refusal(smtp: smtplib.SMTP, config: Config) -> Iterator[Finding]:
    """Begin an email, and cancel it before its text."""
    to = support_email(config) or config.mail_from
    smtp.ehlo_or_helo_if_needed()
    status, _reason = smtp.mail(config.mail_from)
    if status < PERMANENT:
        status, _reason = smtp.rcpt(to)
    smtp.rset()
    if status >= PERMANENT:
        yield found("mail_refused", config.mail_from, to, status)


def _redis(_config: Config) -> Iterator[Finding]:
    from accounts.throttle import redis_store  # noqa: PLC0415 its library takes 10 MB

    if not redis_store.can_write():
        yield found("redis_down")
        return
    for problem in redis_store.problems():
        yield found(f"redis_{problem}")


def _database(_config: Config) -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(ROLE)
        name, is_powerful = cursor.fetchone()
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        between = before + (datetime.now(UTC) - before) / 2
        seconds = abs((cursor.fetchone()[0] - between).total_seconds())
    if is_powerful:
        yield found("database_role", name)
    if seconds > CLOCK_SECONDS:
        yield found("database_clock", round(seconds))
    yield from _server(name)


def _server(role: str) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(SERVER)
        is_standby, is_read_only, is_unsafe, lag, nodes = cursor.fetchone()
    if is_standby or is_read_only:
        reason = "it is a standby server" if is_standby else "default_transaction_read_only is on"
        yield found("database_read_only", reason)
    if is_unsafe:
        yield found("commits_unsafe", role)
    if lag and lag > LAG_SECONDS:
        yield found("replication_late", round(lag))
    nodes = max(1, nodes)
    for limit, _used, most in connections():
        if most < nodes * CONNECTIONS:
            yield found("connections_few", limit, most, nodes, nodes * CONNECTIONS)


def _waiting_mail(_config: Config) -> Iterator[Finding]:
    oldest = mail.longest_delay(mail.delays())
    if oldest > MAIL_LATE_SECONDS:
        yield found("mail_late", int(oldest // 60))


def _secrets(_config: Config) -> Iterator[Finding]:
    """Check whether the oldest and the newest value of each kind can be decrypted."""
    hashes = User.objects.filter(password__startswith=foreign.SEALED)
    for what, rows, field, purpose in (
        ("emails", OutgoingMail.objects.all(), F("sealed"), mail.PURPOSE),
        ("authenticator apps", Authenticator.objects.all(), F("sealed_seed"), SEED_PURPOSE),
        ("recovery codes", RecoveryCodes.objects.all(), F("sealed"), CODES_PURPOSE),
        ("hashes", hashes, Substr("password", len(foreign.SEALED) + 1), foreign.PURPOSE),
    ):
        values = rows.order_by("pk").values_list(field, flat=True)
        sample = [*values[:SAMPLE], *values.reverse()[:SAMPLE]]
        if not all(crypto.can_unseal(sealed, purpose) for sealed in sample):
            yield found("secrets_unreadable", what)


def _keys(config: Config) -> Iterator[Finding]:
    if not keyring.can_sign():
        yield found("signing_key_unreadable")
    newest = keyring.live_keys().filter(unused_at=None).last()
    days = config.signing_key_days
    most = timedelta(days=days) + LATE if days else OLDEST
    if newest and clock.now() - newest.signs_at > most:
        yield found("signing_key_old", (clock.now() - newest.signs_at).days)


def _people(_config: Config) -> Iterator[Finding]:
    active = User.objects.filter(is_active=True)
    staff = active.filter(Q(is_staff=True) | Q(is_superuser=True), has_factor=False)
    if names := list(staff.order_by("username").values_list("username", flat=True)):
        yield found("staff_without_factor", len(names), some(names))
    if not active.filter(is_superuser=True).exists():
        yield found("no_owner")
    if count := mix.weak():
        yield found("hashes_weak", count)


def some(names: list[str]) -> str:
    """Return the first of ``names`` in one line."""
    return ", ".join([*names[:NAMED], *(["…"] if len(names) > NAMED else [])])


def _daily_job(_config: Config) -> Iterator[Finding]:
    if Code.objects.filter(expires_at__lt=clock.now() - EXPIRED).exists():
        yield found("prune_late")


def _backups(config: Config) -> Iterator[Finding]:
    if not config.backup_days:
        return
    if LastSuccess.objects.filter(command=VERIFY, at=NEVER).exists():
        yield found("backup_refused")
        return
    # While the database is new, a missing backup is no problem.
    begun = MigrationRecorder.Migration.objects.aggregate(at=Min("applied"))["at"]
    last = successes()
    for code, command in ("backup_old", BACKUP), ("backup_unverified", VERIFY):
        days = (clock.now() - max(last[command], begun)).days
        if days >= config.backup_days:
            yield found(code, days)
            return


def _head(file: Path) -> str:
    try:
        with file.open(errors="replace") as opened:
            return opened.read(200)
    except OSError:
        return ""
