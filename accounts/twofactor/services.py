"""Having, showing and changing second factors. Nothing here signs anybody in."""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from accounts.activity import events
from accounts.activity.notices import ESTABLISHED
from accounts.activity.services import Source, record
from accounts.identities import services as identities
from accounts.kernel import clock, crypto, secrets
from accounts.kernel.proofs import Method
from accounts.kernel.signals import credentials_changed
from accounts.throttle import familiar
from accounts.twofactor import codes, recovery
from accounts.twofactor.errors import (
    ClockIsOff,
    LastWayIn,
    PasskeyRequired,
    Required,
    TooMany,
    WrongCode,
)
from accounts.twofactor.models import (
    SEED_PURPOSE,
    TOLERANCE,
    Authenticator,
    Passkey,
    RecoveryCodes,
    sealed_codes,
    totp_of,
)
from accounts.users import services as users
from accounts.users.models import User

SEED_BYTES = 20
MOST_AUTHENTICATORS = 5
# How far a clock may be off for the page to say so, in time steps: ten minutes.
CLOCK_STEPS = 20
MEMO = "_has_factor"


RENAMED = {Authenticator: events.FACTOR_RENAMED, Passkey: events.PASSKEY_RENAMED}
REMOVED = {Authenticator: events.FACTOR_REMOVED, Passkey: events.PASSKEY_REMOVED}


@dataclass(frozen=True)
class Held:
    """The second factors of a person. Recovery codes are a spare way, no factor by themselves."""

    authenticators: list[Authenticator]
    passkeys: list[Passkey]
    recovery_codes: RecoveryCodes | None

    @property
    def count(self) -> int:
        """How many that are factors by themselves."""
        return len(self.authenticators) + len(self.passkeys)


def held(user: User) -> Held:
    """What ``user`` has, oldest first."""
    authenticators = list(Authenticator.objects.filter(user=user).order_by("pk"))
    passkeys = list(Passkey.objects.filter(user=user).order_by("pk"))
    # They go with the last factor.
    kept = None
    if authenticators or passkeys:
        kept = RecoveryCodes.objects.filter(user=user).first()
    return Held(authenticators, passkeys, kept)


def has_any(user: User) -> bool:
    """Whether ``user`` has a second factor; asked once for every reading of the row.

    That is enough: with the factors ``credential_version`` changes, and admission looks at that.
    """
    if not hasattr(user, MEMO):
        apps = Authenticator.objects.filter(user=user).values("user")
        setattr(user, MEMO, apps.union(Passkey.objects.filter(user=user).values("user")).exists())
    return bool(getattr(user, MEMO))


def has_passkey(user: User) -> bool:
    """Whether one of them is a passkey."""
    return Passkey.objects.filter(user=user).exists()


def is_required(user: User) -> bool:
    """Whether ``user`` must have one (``SECOND_FACTOR``)."""
    config = settings.AUTHSITE
    of_staff = user.is_privileged and config.second_factor == "staff"
    return config.second_factor == "all" or of_staff or needs_passkey(user)


def needs_passkey(user: User) -> bool:
    """Whether only a passkey will do for ``user`` (``STAFF_FACTOR``)."""
    return user.is_privileged and settings.AUTHSITE.staff_factor == "passkey"


def familiar_key(user: User) -> str:
    """Whose places are those where the second step was taken: see ``throttle.familiar``."""
    return f"factor {user.pk}"


def new_seed() -> str:
    """A seed of 160 bits, hexadecimal (RFC 4226 section 4, R6)."""
    return secrets.hexadecimal(SEED_BYTES)


def enrol(user: User, seed: str, typed: str, name: str, source: Source) -> list[str]:
    """Add an authenticator that has just shown a code of ``seed``; recovery codes with the first.

    The codes, in clear for this once, or none. The login session of ``source`` goes on, every other
    one of the person ends. ``user`` is up to date afterwards. :class:`WrongCode`,
    :class:`TooMany`, ``Outdated``.
    """
    step = _step_of(seed, codes.canonical(typed))
    with transaction.atomic():
        owner = users.hold(user)
        rows = held(owner).authenticators
        # Twice sent at once, it would be two rows, and each would take the same code.
        if seed in {row.seed for row in rows}:
            raise WrongCode
        if len(rows) >= MOST_AUTHENTICATORS:
            raise TooMany
        Authenticator.objects.create(
            user=owner, name=name, sealed_seed=crypto.seal(seed, SEED_PURPOSE), last_t=step
        )
        return note_added(user, owner, events.FACTOR_ADDED, source.by(Method.TOTP), name=name)


def note_added(
    user: User, owner: User, event: events.Event, source: Source, *, name: str
) -> list[str]:
    """Recovery codes, if ``owner`` has none yet, and everybody told of a new factor."""
    if source.place:
        # So that guesses from elsewhere don't keep the owner out of where the factor was added.
        familiar.remember(familiar_key(owner), source.place.network, None)
    made = [] if RecoveryCodes.objects.filter(user=owner).exists() else _make_codes(owner)
    _tell(user, event, source, detail=name)
    return made


def _step_of(seed: str, code: str) -> int:
    """The time step that ``code`` is of."""
    if not codes.TOTP_CODE.fullmatch(code):
        raise WrongCode
    totp = totp_of(seed)
    if totp.verify(int(code), tolerance=TOLERANCE):
        return totp.t()
    raise ClockIsOff if totp.verify(int(code), tolerance=CLOCK_STEPS) else WrongCode


def make_recovery_codes(user: User, source: Source) -> list[str]:
    """A new set in place of the old, in clear for this once; ``Outdated``."""
    with transaction.atomic():
        owner = users.hold(user)
        made = _make_codes(owner)
        _tell(user, events.RECOVERY_CODES_MADE, source)
    return made


def _make_codes(owner: User) -> list[str]:
    made = codes.new_recovery_codes()
    row = {
        "sealed": sealed_codes(made, secrets.token(16)),
        "made_at": clock.now(),
        "saved_at": None,
    }
    RecoveryCodes.objects.update_or_create(user=owner, defaults={"name": "recovery codes", **row})
    return made


def note_saved(user: User, typed: str) -> bool:
    """Note that a person has kept the codes, if ``typed`` is one of them. It stays good."""
    kept = RecoveryCodes.objects.filter(user=user).first()
    code = codes.canonical(typed)
    if kept is None or not kept.fits(code):
        return False
    RecoveryCodes.objects.filter(pk=kept.pk, saved_at=None).update(saved_at=clock.now())
    return True


def rename(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, name: str, source: Source
) -> bool:
    """Give a factor of ``user`` another name; whether it's there."""
    with transaction.atomic():
        if not kind.objects.filter(user=user, pk=factor_id).update(name=name):
            return False
        record(user, RENAMED[kind], source, detail=name)
    return True


def remove(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, source: Source
) -> bool:
    """Remove a factor of ``user``, with the last one the recovery codes; whether it was.

    :class:`Required`, :class:`PasskeyRequired`, :class:`LastWayIn`, ``Outdated``.
    """
    with transaction.atomic():
        owner = users.hold(user)
        row = kind.objects.filter(user=owner, pk=factor_id).first()
        if row is None:
            return False
        refuse_removal(owner, row)
        if held(owner).count == 1:
            RecoveryCodes.objects.filter(user=owner).delete()
        row.delete()
        _tell(user, REMOVED[kind], source, detail=row.name)
    return True


def refuse_removal(user: User, row: Authenticator | Passkey) -> None:
    """Raise what forbids removing ``row``: :class:`Required` or :class:`LastWayIn`."""
    has = held(user)
    if has.count == 1 and is_required(user):
        raise Required
    is_last_passkey = isinstance(row, Passkey) and len(has.passkeys) == 1
    if is_last_passkey and needs_passkey(user):
        raise PasskeyRequired
    if is_last_passkey and not (user.has_usable_password() or identities.usable(user)):
        raise LastWayIn


def reset(user: User, source: Source) -> None:
    """Remove every factor of ``user``, for whoever runs the site; every sign-in ends."""
    with transaction.atomic():
        owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        _remove_all(owner)
        _tell(user, events.FACTORS_RESET, source, keep=False)


def recover(user: User, source: Source) -> None:
    """Remove every factor, once the waiting period is over; every sign-in ends.

    ``recovery.NotDue``, ``Outdated``. ``user`` is up to date afterwards.
    """
    with transaction.atomic():
        owner = users.hold(user)
        recovery.take(owner)
        _remove_all(owner)
        _tell(user, events.FACTORS_RECOVERED, source, keep=False)


def drop_newcomers(owner: User, source: Source) -> None:
    """Remove passkeys of less than a week beside an older factor: perhaps a thief's.

    For after a lockdown, when a factor and the mailbox were shown: a passkey opens the account by
    itself, the new password or not.
    """
    since = clock.now() - ESTABLISHED
    has = held(owner)
    made = [row.made_at for row in has.authenticators] + [row.made_at for row in has.passkeys]
    if min(made, default=since) > since:
        return
    for row in has.passkeys:
        if row.made_at > since:
            row.delete()
            record(owner, events.PASSKEY_REMOVED, source, detail=row.name)


def _remove_all(owner: User) -> None:
    Authenticator.objects.filter(user=owner).delete()
    Passkey.objects.filter(user=owner).delete()
    RecoveryCodes.objects.filter(user=owner).delete()


def _tell(
    user: User, event: events.Event, source: Source, *, detail: str = "", keep: bool = True
) -> None:
    """End the other sign-ins, record and mail it; ``user`` is as the database has it then."""
    credentials_changed.send(
        User,
        user=user,
        event=event.name,
        source=source,
        detail=detail,
        keep=source.session if keep else None,
    )
    user.refresh_from_db(fields=["credential_version"])
    vars(user).pop(MEMO, None)
