"""Having, showing and changing second factors. Nothing here signs anybody in."""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Source, record
from accounts.kernel import clock, crypto, secrets
from accounts.kernel.errors import PublicError
from accounts.kernel.proofs import Method
from accounts.kernel.signals import credentials_changed
from accounts.twofactor import codes, recovery
from accounts.twofactor.models import (
    SEED_PURPOSE,
    TOLERANCE,
    Authenticator,
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


class WrongCode(PublicError):
    """Wrong, used, old: one answer for all."""

    code = "invalid_code"
    status = 401
    message = _(
        "That code is not right, or was used already. Wait for the next one; if that isn’t right "
        "either, check that your phone’s clock sets itself."
    )


class WrongSpareCode(WrongCode):
    """The same for who typed what no authenticator shows: no clock has to do with it."""

    message = _("That code is not right, or was used already.")


class ClockIsOff(WrongCode):
    """Right for another moment. Only said while enrolling: elsewhere it would help to guess."""

    message = _(
        "That code is right for another time: your phone’s clock is some minutes off. Let it set "
        "itself, then enter the newest code."
    )


class TooMany(PublicError):
    """Every authenticator that an account can have is there."""

    code = "too_many"
    message = _("You have as many authenticator apps as there can be. Remove one first.")


class Required(PublicError):
    """The last factor of somebody who must have one."""

    code = "factor_required"
    message = _("Your account must have a second factor. Add another one before you remove this.")


@dataclass(frozen=True)
class Held:
    """The second factors of a person. Recovery codes are a spare way, no factor by themselves."""

    authenticators: list[Authenticator]
    recovery_codes: RecoveryCodes | None


def held(user: User) -> Held:
    """What ``user`` has, oldest first."""
    authenticators = list(Authenticator.objects.filter(user=user).order_by("pk"))
    # They go with the last authenticator.
    kept = RecoveryCodes.objects.filter(user=user).first() if authenticators else None
    return Held(authenticators, kept)


def has_any(user: User) -> bool:
    """Whether ``user`` has a second factor; asked once for every reading of the row.

    That is enough: with the factors ``credential_version`` changes, and admission looks at that.
    """
    if not hasattr(user, MEMO):
        setattr(user, MEMO, Authenticator.objects.filter(user=user).exists())
    return bool(getattr(user, MEMO))


def is_required(user: User) -> bool:
    """Whether ``user`` must have one (``SECOND_FACTOR``)."""
    whom = settings.AUTHSITE.second_factor
    return whom == "all" or (whom == "staff" and (user.is_staff or user.is_superuser))


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
        made = [] if RecoveryCodes.objects.filter(user=owner).exists() else _make_codes(owner)
        _tell(user, events.FACTOR_ADDED, source.by(Method.TOTP))
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


def rename(user: User, factor_id: int, name: str, source: Source) -> bool:
    """Give an authenticator of ``user`` another name; whether it's there."""
    with transaction.atomic():
        if not Authenticator.objects.filter(user=user, pk=factor_id).update(name=name):
            return False
        record(user, events.FACTOR_RENAMED, source, detail=name)
    return True


def remove(user: User, factor_id: int, source: Source) -> bool:
    """Remove an authenticator of ``user``, with the last one the recovery codes; whether it was.

    :class:`Required`, ``Outdated``.
    """
    with transaction.atomic():
        owner = users.hold(user)
        rows = Authenticator.objects.filter(user=owner)
        row = rows.filter(pk=factor_id).first()
        if row is None:
            return False
        if rows.count() == 1:
            if is_required(owner):
                raise Required
            RecoveryCodes.objects.filter(user=owner).delete()
        row.delete()
        _tell(user, events.FACTOR_REMOVED, source, detail=row.name)
    return True


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


def _remove_all(owner: User) -> None:
    Authenticator.objects.filter(user=owner).delete()
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
