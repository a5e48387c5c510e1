"""Lists, adds, renames and removes second factors, and creates recovery codes.

Nothing here signs anybody in: the authentication policy decides which factors are required.
"""

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, Max, OuterRef, Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils.translation import gettext as _
from django_otp.models import Device

from accounts.activity import daily, events
from accounts.activity.daily import Kind
from accounts.activity.events import Event
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.calls import services as calls
from accounts.common import clock, secrets
from accounts.common.database import P, PreparedQueries, PreparedQuery
from accounts.common.errors import PublicError
from accounts.common.proofs import Method
from accounts.common.signals import credentials_changed
from accounts.sessions import known_browsers
from accounts.throttle.limits import PROFILE_CHANGE
from accounts.throttle.services import hit
from accounts.twofactor import models
from accounts.twofactor.errors import (
    ClockIsOff,
    NoFactor,
    OnlyPasskeyLeft,
    PasskeyRequired,
    Required,
    TooManyFactors,
    WrongFactorCode,
)
from accounts.twofactor.models import (
    IMPORTED_CODES,
    TOLERANCE,
    Authenticator,
    Factor,
    Passkey,
    RecoveryCodes,
    seal_seed,
    sealed_codes,
    totp_of,
)
from accounts.users import former_credentials
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.models import FormerCredential, User

_PASSKEYS = Exists(Passkey.objects.filter(user=OuterRef("pk"), confirmed=True))
_APPS = Exists(Authenticator.objects.filter(user=OuterRef("pk")))
_HAS_FACTOR = ExpressionWrapper(Q(_PASSKEYS) | Q(_APPS), output_field=BooleanField())

# These numbers are counted every day, separately for staff and others: active accounts, those with
# an authenticator app or a passkey, and those with a passkey.
WHAT = ("", "factor", "passkey")


@receiver((post_save, post_delete), sender=Authenticator)
@receiver((post_save, post_delete), sender=Passkey)
def note(*, instance: Authenticator | Passkey, **_signal: Any) -> None:
    """Store in ``has_factor`` whether the user has a factor, after a factor was saved or deleted.

    A sign-in updates a factor without saving it, and sends no signal.
    """
    User.objects.filter(pk=instance.user_id).update(has_factor=_HAS_FACTOR)


def of_accounts() -> tuple[date, dict[str, list[int]]]:
    """Return a day, and for each of ``daily.ACCOUNTS`` the numbers of :data:`WHAT` on that day.

    The last daily job has counted them, because counting a million accounts takes too long for a
    page.
    """
    day, numbers = daily.latest() or (clock.now().date(), _counted())
    return day, {
        name: [numbers.get(Kind(name, what, True), 0) for what in WHAT] for name in daily.ACCOUNTS
    }


def store_coverage() -> None:
    """Count the accounts for :func:`of_accounts`, and store the numbers."""
    daily.store(_counted())


def _counted() -> dict[Kind, int]:
    accounts = User.objects.filter(is_active=True).order_by().values_list("is_staff")
    rows = accounts.annotate(
        Count("pk"),
        with_factor=Count("pk", filter=Q(has_factor=True)),
        with_passkey=Count("pk", filter=_PASSKEYS),
    )
    return {
        Kind(daily.STAFF if is_staff else daily.PEOPLE, what, True): number
        for is_staff, *numbers in rows
        for what, number in zip(WHAT, numbers, strict=True)
    }


SEED_BYTES = 20
MOST_AUTHENTICATORS = 5
# ``ClockIsOff`` is raised only if the clock is wrong by at most this many time steps (ten minutes).
CLOCK_STEPS = 20
MEMO = "_has_factor"
# A second factor counts as new for this time.
NEW = timedelta(days=7)

_APPS_OF = PreparedQuery(lambda: Authenticator.objects.filter(user=P("user")).order_by("pk"))
PASSKEYS_OF = PreparedQuery(lambda: Passkey.objects.filter(user=P("user")).order_by("pk"))
_CODES_OF = PreparedQuery(lambda: RecoveryCodes.objects.filter(user=P("user")))
_USER = PreparedQuery(lambda: User.objects.filter(pk=P("user")))
_APP = PreparedQuery(lambda: Authenticator.objects.filter(user=P("user")).only("pk"))
_PASSKEY = PreparedQuery(lambda: Passkey.objects.filter(user=P("user"), confirmed=True).only("pk"))
_FACTORS = PreparedQueries(_APP, _PASSKEY)
_USER_AND_FACTORS = PreparedQueries(_USER, _APP, _PASSKEY)


@dataclass(frozen=True)
class Held:
    """The second factors of a user. Recovery codes are a fallback and do not count as a factor.

    ``unconfirmed``: passkeys that the browser has created by itself. They can be used to sign in,
        but are not second factors until the user confirms them.
    """

    authenticators: list[Authenticator]
    passkeys: list[Passkey]
    recovery_codes: RecoveryCodes | None
    unconfirmed: list[Passkey] = field(default_factory=list)

    @property
    def unreadable(self) -> list[Authenticator | RecoveryCodes]:
        """The authenticator apps and recovery codes that ``ENCRYPTION_KEYS`` cannot decrypt."""
        codes = [self.recovery_codes] if self.recovery_codes else []
        secret: list[Authenticator | RecoveryCodes] = [*self.authenticators, *codes]
        return [factor for factor in secret if not factor.is_readable]

    @property
    def count(self) -> int:
        """The number of second factors, without recovery codes."""
        return len(self.authenticators) + len(self.passkeys)


def held(user: User) -> Held:
    """Return the second factors of ``user``, oldest first, and cache whether there are any."""
    authenticators, rows = _APPS_OF.all(user=user.pk), PASSKEYS_OF.all(user=user.pk)
    passkeys = [row for row in rows if row.confirmed]
    has_any = bool(authenticators or passkeys)
    setattr(user, MEMO, has_any)
    # Recovery codes are removed together with the last factor.
    codes = _CODES_OF.first(user=user.pk) if has_any else None
    return Held(authenticators, passkeys, codes, [row for row in rows if not row.confirmed])


def devices(user: User) -> list[Any]:
    """Return every second factor of ``user``, including the recovery codes."""
    has = held(user)
    codes = [has.recovery_codes] if has.recovery_codes else []
    return [*has.authenticators, *has.passkeys, *codes]


def has_any(user: User) -> bool:
    """Return whether ``user`` has a second factor. The result is cached on ``user``.

    A stale result is harmless: a change of factors changes ``credential_version``, which
    ``establish_session`` checks.
    """
    if not hasattr(user, MEMO):
        # The field ``has_factor`` is not used, because ``user`` may have been read before a change.
        setattr(user, MEMO, any(_FACTORS.firsts(user=user.pk)))
    return bool(getattr(user, MEMO))


def find_user(id: uuid.UUID) -> User | None:
    """Return the user with this id, or None. The query also reads :func:`has_any`."""
    user, *factors = _USER_AND_FACTORS.firsts(user=id)
    if user:
        setattr(user, MEMO, any(factors))
    return cast(User | None, user)


def has_passkey(user: User) -> bool:
    """Return whether ``user`` has a passkey as a second factor."""
    return Passkey.objects.filter(user=user, confirmed=True).exists()


def find(user: User, key: str = "") -> Any:
    """Return the second factor of ``user`` with the ``persistent_id`` ``key``, or None.

    This includes recovery codes. Without ``key``, return the newest app or passkey.
    """
    if key:
        row = Device.from_persistent_id(key)
        return row if row and row.confirmed and row.user_id == user.pk else None
    has = held(user)
    return max([*has.authenticators, *has.passkeys], key=attrgetter("made_at"), default=None)


def had_older(factor: Factor) -> bool:
    """Return whether the account has an older second factor, or had one when it got ``factor``.

    A factor that was removed in the seven days before counts, too, because a thief may have removed
    it. A factor that an operator has removed does not count.
    """
    user = factor.user
    rows = FormerCredential.objects.filter(user=user, kind__in=former_credentials.FACTORS)
    rows = rows.filter(since__lt=factor.made_at, removed_at__gt=factor.made_at - NEW)
    at = rows.aggregate(at=Max("removed_at"))["at"]
    resets = Activity.objects.filter(user=user, kind=events.FACTORS_RESET.name)
    is_former = at is not None and not resets.filter(at__gte=at).exists()
    return is_former or any(row.made_at < factor.made_at for row in devices(user))


def is_required(user: User) -> bool:
    """Return whether ``user`` must have a second factor (``SECOND_FACTOR``)."""
    config = settings.AUTHSITE
    of_staff = user.is_privileged and config.second_factor == "staff"
    return config.second_factor == "all" or of_staff or needs_passkey(user)


def needs_passkey(user: User) -> bool:
    """Return whether ``user`` must have a passkey as second factor (``STAFF_FACTOR``)."""
    return user.is_privileged and settings.AUTHSITE.staff_factor == "passkey"


def new_seed() -> str:
    """Return a random seed of 160 bits in hexadecimal (RFC 4226 section 4, R6)."""
    return secrets.hexadecimal(SEED_BYTES)


def enrol(user: User, seed: str, typed: str, name: str, actor: Actor) -> list[str]:
    """Add an authenticator app to ``user`` if ``typed`` is the current code of the app.

    ``name``: the name that the user gives to the app, or an empty string.

    Return new recovery codes if there were none, else an empty list. Every session except the
    session of ``actor`` is revoked, and the ``credential_version`` of ``user`` is refreshed.

    Raises:
        WrongFactorCode: the code is wrong, or the account has an app with this seed.
        ClockIsOff: the code is right for a time up to ten minutes away.
        TooManyFactors: the account has as many authenticator apps as allowed.
        AccountChanged: the account was changed in the meantime.
    """
    step, name = _step_of(seed, models.canonical(typed)), name or _("Authenticator app")
    with transaction.atomic():
        owner = users.lock_row(user)
        rows = held(owner).authenticators
        # Two rows with the same seed would both accept a code, so the code could be used twice.
        if seed in {row.seed for row in rows}:
            raise WrongFactorCode
        if len(rows) >= MOST_AUTHENTICATORS:
            raise TooManyFactors
        row = Authenticator.objects.create(
            user=owner, name=name, sealed_seed=seal_seed(seed), last_t=step
        )
        calls.created(row.pk, owner=owner.pk)
        return note_added(user, owner, events.FACTOR_ADDED, actor.by(Method.TOTP), name=name)


def note_added(
    user: User,
    owner: User,
    event: Event,
    actor: Actor,
    *,
    name: str,
    saved: list[str] | None = None,
) -> list[str]:
    """Record a new factor; return new recovery codes if there were none, else an empty list.

    ``saved``: recovery codes to use instead of new ones, because the user has already saved them.
    """
    if actor.client:
        # This browser has its own limits from now on, so that guesses elsewhere do not block it.
        known_browsers.note_factor(actor.client, owner)
    has_codes = RecoveryCodes.objects.filter(user=owner).exists()
    # The codes are as old as the factor that they can replace.
    since = max(row.made_at for row in devices(owner))
    made = [] if has_codes else _make_codes(owner, saved, made_at=since)
    if held(owner).count == 1:
        # With the mailbox as a second factor, the account would hardly be safer than before.
        User.objects.filter(pk=owner.pk).update(emailed_codes=False)
    tell(user, event, actor, detail=name)
    return made


def set_emailed_codes(user: User, actor: Actor, *, is_on: bool) -> None:
    """Set whether an emailed code is accepted as the second step of ``user``, and record it.

    Raises:
        AccountChanged: the account was changed in the meantime.
        RateLimited: there were too many changes by the user.
    """
    hit(PROFILE_CHANGE.of(user.pk, ""))
    event = events.EMAILED_CODES_ON if is_on else events.EMAILED_CODES_OFF
    with transaction.atomic():
        owner = users.lock_row(user)
        if owner.emailed_codes is not is_on:
            owner.emailed_codes = is_on
            owner.save(update_fields=["emailed_codes"])
            record(owner, event, actor)


def _step_of(seed: str, code: str) -> int:
    """Return the time step in which ``code`` is valid."""
    if not models.TOTP_CODE.fullmatch(code):
        raise WrongFactorCode
    totp = totp_of(seed)
    if totp.verify(int(code), tolerance=TOLERANCE):
        return totp.t()
    raise ClockIsOff if totp.verify(int(code), tolerance=CLOCK_STEPS) else WrongFactorCode


def make_recovery_codes(user: User, actor: Actor) -> list[str]:
    """Replace the recovery codes of ``user``; return the new codes in clear text.

    Raises:
        NoFactor: the account has no second factor.
        AccountChanged: the account was changed in the meantime.
        RateLimited: there were too many changes by the user.
    """
    hit(PROFILE_CHANGE.of(user.pk, ""))
    with transaction.atomic():
        owner = users.lock_row(user)
        if not held(owner).count:
            raise NoFactor
        remove_codes(owner)
        made = _make_codes(owner)
        calls.created(owner.pk, owner=owner.pk)
        tell(user, events.RECOVERY_CODES_MADE, actor)
    return made


def _make_codes(
    owner: User, saved: list[str] | None = None, *, made_at: datetime | None = None
) -> list[str]:
    """Store ``saved``, or else new recovery codes, and return them."""
    made = saved or models.new_recovery_codes()
    sealed = sealed_codes(made, secrets.token(16))
    saved_at = clock.now() if saved else None
    name = _("Recovery codes")
    times = {"saved_at": saved_at, "made_at": made_at or clock.now()}
    RecoveryCodes.objects.create(user=owner, name=name, sealed=sealed, **times)
    return made


def remove_codes(owner: User) -> None:
    """Remove the recovery codes of ``owner``, in the caller's transaction."""
    for row in RecoveryCodes.objects.filter(user=owner):
        keep(row)
        # Delete the row instead of updating it, so that the new codes have another id and are
        # not taken for the old ones.
        row.delete()


def keep(row: Authenticator | Passkey | RecoveryCodes, *, is_suspended: bool = False) -> None:
    """Store the removed or suspended factor ``row``, which may prove ownership later.

    An unconfirmed passkey is not a factor, so it is not stored.
    """
    if not row.confirmed:
        return
    is_codes = isinstance(row, RecoveryCodes)
    kind = FormerCredential.Kind.RECOVERY_CODES if is_codes else FormerCredential.Kind.FACTOR
    fields = {"kind": kind, "label": row.name, "since": row.made_at, "is_suspended": is_suspended}
    if isinstance(row, Passkey):
        fields["key"] = former_credentials.passkey_key(row.credential_id)
    former_credentials.keep(row, removed_at=clock.now(), **fields)


def note_saved(user: User, typed: str) -> bool:
    """Return whether ``typed`` is a recovery code; if so, record that the codes are saved.

    Guesses are not limited here, so codes of another system, which can be guessed, are not
    accepted.
    """
    kept = RecoveryCodes.objects.filter(user=user).exclude(name=IMPORTED_CODES).first()
    code = models.canonical(typed)
    if kept is None or not kept.fits(code):
        return False
    RecoveryCodes.objects.filter(pk=kept.pk, saved_at=None).update(saved_at=clock.now())
    return True


def tell(user: User, event: Event, actor: Actor, *, detail: str = "", keep: bool = True) -> None:
    """Send the signal for a change of factors, which revokes sessions, and refresh ``user``."""
    credentials_changed.send(
        User,
        user=user,
        event=event.name,
        actor=actor,
        detail=detail,
        keep=actor.session if keep else None,
    )
    user.refresh_from_db(fields=["credential_version", "emailed_codes"])
    vars(user).pop(MEMO, None)


RENAMED = {Authenticator: events.FACTOR_RENAMED, Passkey: events.PASSKEY_RENAMED}
REMOVED = {Authenticator: events.FACTOR_REMOVED, Passkey: events.PASSKEY_REMOVED}


def rename(
    kind: type[Authenticator] | type[Passkey],
    user: User,
    factor_id: int,
    name: str,
    actor: Actor,
    *,
    name_before: str = "",
) -> bool:
    """Rename a factor of ``user``; return whether the factor exists.

    ``name_before``: if given, the factor must still have this name.

    Raises:
        RateLimited: there were too many changes by the user.
    """
    hit(PROFILE_CHANGE.of(user.pk, ""))
    factor = kind.objects.filter(user=user, pk=factor_id)
    if name_before:
        factor = factor.filter(name=name_before)
    with transaction.atomic():
        if not factor.update(name=name):
            return False
        record(user, RENAMED[kind], actor, detail=name)
    return True


def remove(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, actor: Actor
) -> bool:
    """Remove a factor of ``user``; return whether the factor existed.

    The recovery codes are removed with the last factor.

    Raises:
        Required, OnlyPasskeyLeft: see :func:`refusal_of_removal`.
        AccountChanged: the account was changed in the meantime.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        row = kind.objects.filter(user=owner, pk=factor_id).first()
        if row is None:
            return False
        if refusal := refusal_of_removal(owner, row):
            raise refusal
        if is_last(owner, row):
            remove_codes(owner)
        keep(row)
        row.delete()
        tell(user, REMOVED[kind], actor, detail=row.name)
    return True


def is_last(user: User, row: Authenticator | Passkey) -> bool:
    """Return whether ``row`` is the only second factor of ``user``."""
    return row.confirmed and held(user).count == 1


def refusal_of_removal(user: User, row: Authenticator | Passkey) -> PublicError | None:
    """Return the error if ``row`` cannot be removed, or None.

    Without the last passkey of an account that has no password, the mailbox would be the only way
    to sign in.
    """
    if not row.confirmed:
        return None
    has = held(user)
    is_last_passkey = isinstance(row, Passkey) and len(has.passkeys) == 1
    if has.count == 1 and is_required(user):
        return Required()
    if is_last_passkey and needs_passkey(user):
        return PasskeyRequired()
    if is_last_passkey and not (user.has_usable_password() or users_models.usable(user)):
        return OnlyPasskeyLeft()
    return None


def reset(user: User, actor: Actor) -> None:
    """Remove every second factor of ``user`` on behalf of an operator, and revoke every session."""
    with transaction.atomic():
        users.lock_row_as_is(user)
        remove_all(user, events.FACTORS_RESET, actor)


def remove_all(user: User, event: Event, actor: Actor) -> None:
    """Remove every factor of ``user``, and revoke every session, in the caller's transaction."""
    for model in (Authenticator, Passkey, RecoveryCodes):
        for row in model.objects.filter(user=user):
            keep(row)
            row.delete()
    tell(user, event, actor, keep=False)
