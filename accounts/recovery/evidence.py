"""Converts stored credentials and shown proofs to the things about which the rule decides.

``accounts.recovery.rule`` contains the rule.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.passwords import services as passwords
from accounts.recovery.rule import Kind, Lock, Opening, Ownership, Thing
from accounts.sessions.current import RECENT
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import FORMER_PASSWORD
from accounts.throttle.services import give_back, hit
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Authenticator, Factor, Passkey, RecoveryCodes
from accounts.twofactor.webauthn import PasskeyResponse
from accounts.users import former_credentials
from accounts.users import models as users_models
from accounts.users.emails import masked
from accounts.users.models import FormerCredential, User

_KINDS: dict[str, Kind] = {
    FormerCredential.Kind.PASSWORD: Kind.PASSWORD,
    FormerCredential.Kind.EMAIL: Kind.MAILBOX,
    FormerCredential.Kind.FACTOR: Kind.FACTOR,
    FormerCredential.Kind.RECOVERY_CODES: Kind.FACTOR,
}
_METHODS = {Method.PASSWORD: Kind.PASSWORD, Method.MAIL: Kind.MAILBOX}
_METHODS |= {Method.PROVIDER: Kind.MAILBOX} | dict.fromkeys(FACTORS, Kind.FACTOR)


class WrongPassword(PublicError):
    """The typed password is not the password that counts."""

    code = "invalid_credentials"
    message = _("That isn’t the right password. If it was changed recently, use the previous one.")


def ownership_of(user: User, opening: Opening | None, lock: Lock | None = None) -> Ownership:
    """Return the facts about ``user`` on which a recovery depends.

    ``opening``: the last unlocking within 30 days.
    ``lock``: a lock that is about to be made; by default the lock of the account.
    """
    lock = lock or user.lock
    return Ownership(_things(user, lock), lock, user.is_privileged, opening)


def shown_by(ownership: Ownership, proofs: Iterable[Proof]) -> frozenset[Thing]:
    """Return the credentials of ``ownership`` that count and are proved by ``proofs``."""
    keys = {(_METHODS[proof.method], proof.key) for proof in proofs if proof.method in _METHODS}
    # A proof without a key stands for the password that counts: see :func:`check_password`.
    has_password = (Kind.PASSWORD, "") in keys
    return frozenset(
        thing
        for thing in ownership.counting
        if (thing.kind, thing.key) in keys or (thing.kind is Kind.PASSWORD and has_password)
    )


def shown_in(session: LoginSession) -> list[Proof]:
    """Return the proofs that the user of ``session`` has shown in the last ten minutes.

    An older session may have been stolen, so its earlier proofs do not prove who uses it now.
    """
    since, found, user = clock.now() - RECENT, list[Proof](), session.user
    if session.factor_at and session.factor_at >= since:
        found.append(Proof(Method.TOTP, session.factor_at, session.factor_key))
    if session.begun_at < since:
        return found
    if Method.PASSWORD in session.amr:
        found.append(Proof(Method.PASSWORD, session.begun_at, str(user.password_at or "")))
    if Method.MAIL in session.amr:
        # A session does not say which of the mailboxes received the code. A thief may have added a
        # mailbox before, and removed it since.
        rows = user.emails.filter(confirmed_at__lte=session.begun_at)
        formers = former_credentials.recent_emails(user).filter(removed_at__gte=session.begun_at)
        keys = {row.key for row in rows} | {row.key for row in formers}
        found += [Proof(Method.MAIL, session.begun_at, key) for key in keys if len(keys) == 1]
    return found


def _things(user: User, lock: Lock | None) -> frozenset[Thing]:
    rows = user.emails.all()
    has = [Thing(Kind.MAILBOX, r.key, r.confirmed_at, name=masked(r.email)) for r in rows]
    for row in twofactor.devices(user):
        has.append(Thing(Kind.FACTOR, row.persistent_id, row.made_at, name=_name(row)))
    if user.has_usable_password():
        has.append(Thing(Kind.PASSWORD, str(user.password_at or ""), user.password_at))
    # Without a lock, only credentials that the account has now count.
    for former in former_credentials.replaced(user) if lock else ():
        # A newer release may have stored another kind of credential, or a factor of another model.
        kind, key, name = _KINDS.get(former.kind), former.key, masked(former.label)
        if kind is Kind.PASSWORD:
            key = str(former.since or "")
        if kind is Kind.FACTOR and (row := former_credentials.row_of(former)):
            key, name = row.persistent_id, _name(row)
        if kind:
            has.append(Thing(kind, key, former.since, former.removed_at, name))
    counts = lock.counts if lock else (lambda thing: thing.until is None)
    if not any(counts(thing) for thing in has if thing.kind is Kind.MAILBOX):
        # A provider replaces the mailbox if the account had no email address.
        identities = users_models.of(user)
        for row in identities:
            name = masked(str(row))
            key, since = str(row.pk), row.connected_at
            has.append(Thing(Kind.MAILBOX, key, since, name=name, is_provider=True))
    return frozenset(has)


def _name(factor: Factor) -> str:
    about = {"name": factor.name}
    if isinstance(factor, RecoveryCodes):
        return gettext("A recovery code")
    if isinstance(factor, Passkey):
        return gettext("Passkey “%(name)s”") % about
    return gettext("Authenticator app “%(name)s”") % about


def check_password(user: User, typed: str, actor: Actor, hashed: str | None = None) -> Proof:
    """Return the proof if ``typed`` is the password that counts.

    This is the password that the account had at the horizon of its lock, or has now if it is not
    locked. The owner is notified of the fifth wrong guess.

    ``hashed``: the hash of the password that counts, if it is another one.

    Raises:
        WrongPassword: the password is wrong, or no password counts.
        RateLimited: there were too many guesses.
    """
    hit(FORMER_PASSWORD.of(user.pk))
    if not passwords.verify(typed, hashed or user.former_hash):
        _record_guess(user, actor)
        raise WrongPassword
    give_back(FORMER_PASSWORD.of(user.pk))
    return Proof.now(Method.PASSWORD)


def _record_guess(user: User, actor: Actor) -> None:
    """Record a wrong password; notify the owner of the fifth one within a day."""
    recent = Activity.objects.filter(user=user, at__gt=clock.now() - timedelta(days=1))
    failed = recent.filter(kind=events.PROOF_FAILED.name, session=None).count()
    is_told = recent.filter(kind=events.FORMER_GUESSED.name).exists()
    is_news = failed >= FORMER_PASSWORD.burst - 1 and not is_told
    record(user, events.FORMER_GUESSED if is_news else events.PROOF_FAILED, actor)


def removed_factor(user: User, code: str) -> Proof | None:
    """Use up ``code`` if it belongs to a removed second factor that counts; return the proof.

    Return None if no such factor accepts the code. The caller applies the rate limits.
    """
    # Any method that is a second factor gives the same result here.
    return _use_removed(user, Method.TOTP, code, Authenticator, RecoveryCodes)


def removed_passkey(user: User, response: PasskeyResponse) -> Proof | None:
    """Verify ``response`` of a removed passkey that counts; return the proof.

    Return None if no such passkey made the response.
    """
    return _use_removed(user, Method.PASSKEY, response, Passkey)


def removed_passkeys(user: User) -> list[Passkey]:
    """Return the removed passkeys of a locked account that :func:`removed_passkey` accepts."""
    if user.lock is None:
        return []
    rows = map(
        former_credentials.row_of, former_credentials.removed(user, FormerCredential.Kind.FACTOR)
    )
    return [row for row in rows if isinstance(row, Passkey)]


def _use_removed(user: User, method: Method, token: Any, *kinds: type[Factor]) -> Proof | None:
    def consumes(factor: Any) -> bool:
        return isinstance(factor, kinds) and factor.consume(token)

    if user.lock is None:
        return None
    key = former_credentials.use_removed_factor(user, consumes)
    return Proof.now(method, key) if key else None
