"""Having, showing and changing second factors. Nothing here signs anybody in."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock, crypto, secrets
from accounts.common.proofs import Method
from accounts.common.signals import credentials_changed
from accounts.identities import services as identities
from accounts.sessions import known_browsers
from accounts.sessions.models import LoginSession
from accounts.twofactor import codes
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
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential, User

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


def devices(user: User) -> list[Any]:
    """Return every second factor of ``user``, recovery codes included."""
    has = held(user)
    codes = [has.recovery_codes] if has.recovery_codes else []
    return [*has.authenticators, *has.passkeys, *codes]


def has_any(user: User) -> bool:
    """Whether ``user`` has a second factor; asked once for every reading of the row.

    That is enough: with the factors ``credential_version`` changes, and ``establish_session``
    checks that.
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


def new_seed() -> str:
    """A seed of 160 bits, hexadecimal (RFC 4226 section 4, R6)."""
    return secrets.hexadecimal(SEED_BYTES)


def enrol(user: User, seed: str, typed: str, name: str, actor: Actor) -> list[str]:
    """Add an authenticator that has just shown a code of ``seed``; recovery codes with the first.

    The codes, in clear for this once, or none. The login session of ``actor`` goes on, every other
    one of the person ends. ``user`` is up to date afterwards. :class:`WrongCode`,
    :class:`TooMany`, ``AccountChanged``.
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
        return note_added(user, owner, events.FACTOR_ADDED, actor.by(Method.TOTP), name=name)


def note_added(
    user: User, owner: User, event: events.Event, actor: Actor, *, name: str
) -> list[str]:
    """Recovery codes, if ``owner`` has none yet, and everybody told of a new factor."""
    if actor.client:
        # So that guesses from elsewhere don't keep the owner out of where the factor was added.
        known_browsers.note_factor(actor.client, owner)
    made = [] if RecoveryCodes.objects.filter(user=owner).exists() else _make_codes(owner)
    _tell(user, event, actor, detail=name)
    return made


def _step_of(seed: str, code: str) -> int:
    """The time step that ``code`` is of."""
    if not codes.TOTP_CODE.fullmatch(code):
        raise WrongCode
    totp = totp_of(seed)
    if totp.verify(int(code), tolerance=TOLERANCE):
        return totp.t()
    raise ClockIsOff if totp.verify(int(code), tolerance=CLOCK_STEPS) else WrongCode


def make_recovery_codes(user: User, actor: Actor) -> list[str]:
    """A new set in place of the old, in clear for this once; ``AccountChanged``."""
    with transaction.atomic():
        owner = users.hold(user)
        _remove_codes(owner, actor)
        made = _make_codes(owner)
        _tell(user, events.RECOVERY_CODES_MADE, actor)
    return made


def _make_codes(owner: User) -> list[str]:
    made = codes.new_recovery_codes()
    sealed = sealed_codes(made, secrets.token(16))
    RecoveryCodes.objects.create(user=owner, name=_("Recovery codes"), sealed=sealed)
    return made


def _remove_codes(owner: User, actor: Actor) -> None:
    for row in RecoveryCodes.objects.filter(user=owner):
        _keep(row, actor)
        # The new set gets an id of its own: a proof by it is none by the old one.
        row.delete()


def note_saved(user: User, typed: str) -> bool:
    """Note that a person has kept the codes, if ``typed`` is one of them. It stays good."""
    kept = RecoveryCodes.objects.filter(user=user).first()
    code = codes.canonical(typed)
    if kept is None or not kept.fits(code):
        return False
    RecoveryCodes.objects.filter(pk=kept.pk, saved_at=None).update(saved_at=clock.now())
    return True


def rename(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, name: str, actor: Actor
) -> bool:
    """Give a factor of ``user`` another name; whether it's there."""
    with transaction.atomic():
        if not kind.objects.filter(user=user, pk=factor_id).update(name=name):
            return False
        record(user, RENAMED[kind], actor, detail=name)
    return True


def remove(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, actor: Actor
) -> bool:
    """Remove a factor of ``user``, with the last one the recovery codes; whether it was.

    :class:`Required`, :class:`PasskeyRequired`, :class:`LastWayIn`, ``AccountChanged``.
    """
    with transaction.atomic():
        owner = users.hold(user)
        row = kind.objects.filter(user=owner, pk=factor_id).first()
        if row is None:
            return False
        refuse_removal(owner, row)
        if held(owner).count == 1:
            _remove_codes(owner, actor)
        _keep(row, actor)
        row.delete()
        _tell(user, REMOVED[kind], actor, detail=row.name)
    return True


def _keep(row: Authenticator | Passkey | RecoveryCodes, actor: Actor) -> None:
    """Keep ``row`` for disputes if it is the second factor of the session that removes it.

    Such a session may be stolen, and its owner still has the factor. Any other factor is removed
    because it was lost, so a finder must not be able to use it.
    """
    sessions = LoginSession.objects.filter(user=row.user_id, factor_key=row.persistent_id)
    if actor.session and sessions.filter(pk=actor.session).exists():
        is_codes = isinstance(row, RecoveryCodes)
        kind = FormerCredential.Kind.RECOVERY_CODES if is_codes else FormerCredential.Kind.FACTOR
        key = former_credentials.passkey_key(row.credential_id) if isinstance(row, Passkey) else ""
        former_credentials.keep(
            row, row.user_id, kind, row.made_at, clock.now(), label=row.name, key=key
        )


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


def reset(user: User, actor: Actor) -> None:
    """Remove every factor of ``user``, for whoever runs the site; every sign-in ends."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        remove_all(user, events.FACTORS_RESET, actor)


def remove_all(user: User, event: events.Event, actor: Actor) -> None:
    """Remove every factor of ``user``, in the caller's transaction; every session ends."""
    for model in (Authenticator, Passkey, RecoveryCodes):
        model.objects.filter(user=user).delete()
    _tell(user, event, actor, keep=False)


def _tell(
    user: User, event: events.Event, actor: Actor, *, detail: str = "", keep: bool = True
) -> None:
    """End the other sign-ins, record and mail it; ``user`` is as the database has it then."""
    credentials_changed.send(
        User,
        user=user,
        event=event.name,
        actor=actor,
        detail=detail,
        keep=actor.session if keep else None,
    )
    user.refresh_from_db(fields=["credential_version"])
    vars(user).pop(MEMO, None)
