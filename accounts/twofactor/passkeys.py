"""Passkeys (WebAuthn Level 3): adds them, and verifies their responses.

After a sign-in with the password, some browsers create a passkey without asking (WebAuthn Level 3,
conditional create). Such a passkey is unconfirmed. It signs in only where the password alone would,
so it gives no further access. It is a second factor only after its user has confirmed it and saved
recovery codes (docs/decisions/0011).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.activity.services import Actor, record
from accounts.calls import services as calls
from accounts.common import clock, crypto
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.common.database import P, PreparedQuery
from accounts.common.proofs import Method, Proof
from accounts.common.signals import factor_proved
from accounts.sessions import services as sessions
from accounts.throttle.limits import Budget
from accounts.throttle.services import give_back, hit
from accounts.twofactor import services as twofactor
from accounts.twofactor import verification, webauthn
from accounts.twofactor.errors import (
    AlreadyThere,
    LockedAccountPasskey,
    TooManyFactors,
    UnknownPasskey,
    WrongPasskey,
)
from accounts.twofactor.models import MULTI_DEVICE, CounterWentBack, Passkey
from accounts.twofactor.webauthn import PasskeyResponse, parse
from accounts.users import former_credentials
from accounts.users import services as users
from accounts.users.models import FormerCredential, User

LOGIN = "login"


def second_purpose(user: User) -> str:
    """Return the purpose of challenges for the second step or reauthentication of ``user``.

    A change of credentials changes the purpose, so that earlier challenges are no longer valid.
    """
    return f"second {user.stamp}"


_SUSPENDED = PreparedQuery(
    lambda: former_credentials.suspended(P("user")).filter(kind=FormerCredential.Kind.FACTOR)
)


def suspended_ids(user: User) -> list[str]:
    """Return the credential ids of the passkeys that a lock of the account has suspended."""
    rows = _SUSPENDED.all(user=user.pk)
    ids = [row.data["fields"].get("credential_id") for row in rows]
    return [credential_id for credential_id in ids if credential_id]


def options_to_sign_in() -> dict[str, Any]:
    """Return options for ``navigator.credentials.get`` to sign in with any passkey."""
    return webauthn.to_get(LOGIN, [], "required")


def challenge_to_sign_in() -> str:
    """Return a new challenge for :func:`options_to_sign_in`; the other options never change."""
    return crypto.encode(webauthn.issue(LOGIN))


def options_for_second_step(user: User, removed: Sequence[Passkey] = ()) -> dict[str, Any]:
    """Return options for ``navigator.credentials.get`` to show a passkey of ``user``.

    Use them for the second step and reauthentication, where unconfirmed passkeys do not count. The
    passkeys in ``removed`` are allowed, too.
    """
    allowed = [row.descriptor for row in (*twofactor.held(user).passkeys, *removed)]
    return webauthn.to_get(second_purpose(user), allowed, "preferred")


def sign_in(text: str, actor: Actor) -> tuple[User, Proof]:
    """Verify a sign-in with a passkey; return the owner of the passkey and the proof.

    ``text``: the JSON that the browser sent. The passkey must have verified the user, because the
        proof counts as both steps, unless the passkey is unconfirmed.

    Raises:
        WrongPasskey: the response is not valid, or the passkey has not verified the user.
        UnknownPasskey: no account has the passkey.
        LockedAccountPasskey: the response is valid, but the account is locked.
        RateLimited: there were too many attempts.
    """
    spent, row = _hit_sign_in(text, actor.client or NO_CLIENT)
    answer = parse(text, must_verify=True)
    row = row or _find_passkey(answer)
    if row is None:
        record(None, events.SIGN_IN_FAILED, actor, detail=Failure.PASSKEY)
        if former_credentials.has_passkey(answer.credential_id):
            # The owner may restore the passkey, so the browser must not be told to delete it.
            raise WrongPasskey
        raise UnknownPasskey(answer.credential_id)
    is_right = _is_right(row.user, row, answer, LOGIN, actor)
    method = Method.PASSKEY if row.confirmed else Method.UNCONFIRMED_PASSKEY
    proof = Proof.of(method, row)
    if is_right and row.confirmed:
        factor_proved.send(User, user=row.user, proof=proof, actor=actor)
    # Only a password reset unlocks an account.
    if row.user.is_locked_down or not is_right:
        failure = Failure.LOCKED if is_right else Failure.PASSKEY
        record(row.user, events.SIGN_IN_FAILED, actor, detail=failure)
        raise LockedAccountPasskey(row.user, proof) if is_right else WrongPasskey
    give_back(*spent)
    return row.user, proof


def _find_passkey(answer: PasskeyResponse) -> Passkey | None:
    rows = Passkey.objects.select_related("user")
    row = rows.filter(credential_id=answer.credential_id).first()
    if row and row.confirmed:
        setattr(row.user, twofactor.MEMO, True)
    return row


def _hit_sign_in(text: str, client: ClientInfo) -> tuple[list[Budget], Passkey | None]:
    """Count the attempt against the rate limits that apply; return the limits.

    In a known browser, also return the passkey, which was read for its limits.
    """
    row = None
    if client.known_cookie:
        with suppress(WrongPasskey):
            row = _find_passkey(parse(text))
    spent = verification.of_passkey(row.user if row else None, Actor(client))
    hit(*spent)
    return spent, row


def verify(
    user: User,
    text: str,
    actor: Actor,
    *,
    removed: Callable[[PasskeyResponse], Proof | None] | None = None,
) -> Proof:
    """Verify a passkey of ``user`` at the second step or reauthentication; return the proof.

    ``text``: the JSON that the browser sent.
    ``removed``: verifies a removed passkey, where these are accepted.

    Nobody can guess the response of a passkey, so attempts are not limited by account.

    Raises:
        WrongPasskey: the response is not valid.
        RateLimited: there were too many attempts.
    """
    spent = verification.of_passkey(user, actor)
    hit(*spent)
    answer = parse(text)
    rows = Passkey.objects.filter(user=user, credential_id=answer.credential_id)
    row = rows.filter(confirmed=True).first()
    if row is None and removed and (proof := _of_removed(user, answer, removed)):
        return proof
    if row is None or not _is_right(user, row, answer, second_purpose(user), actor):
        if actor.session:
            sessions.record_failed_reauthentication(user, actor)
        else:
            record(user, events.FACTOR_FAILED, actor)
        raise WrongPasskey
    give_back(*spent)
    proof = Proof.of(Method.PASSKEY, row)
    factor_proved.send(User, user=user, proof=proof, actor=actor)
    return proof


def options_to_confirm(row: Passkey) -> dict[str, Any]:
    """Return options for ``navigator.credentials.get`` to show the unconfirmed passkey ``row``."""
    return webauthn.to_get(_confirm_purpose(row), [row.descriptor], "preferred")


def check_unconfirmed(row: Passkey, text: str, actor: Actor) -> None:
    """Verify that the user has the unconfirmed passkey ``row``; ``text``: the browser's JSON.

    Raises:
        WrongPasskey: the response is not valid, or it is from another passkey.
        RateLimited: there were too many attempts.
    """
    spent = verification.of_passkey(row.user, actor)
    hit(*spent)
    answer, purpose = parse(text), _confirm_purpose(row)
    is_same = answer.credential_id == row.credential_id
    if not (is_same and _is_right(row.user, row, answer, purpose, actor)):
        raise WrongPasskey
    give_back(*spent)


def _confirm_purpose(row: Passkey) -> str:
    return f"confirm {row.pk} {row.user.credential_version}"


def _of_removed(
    user: User, answer: PasskeyResponse, removed: Callable[[PasskeyResponse], Proof | None]
) -> Proof | None:
    """Return the proof of a removed passkey; None if its response or its challenge is not valid."""
    if answer.is_embedded or not webauthn.is_good(answer.challenge, second_purpose(user)):
        return None
    try:
        proof = removed(answer)
    except CounterWentBack:
        return None
    return proof if webauthn.consume(answer.challenge) else None


def _is_right(
    user: User, row: Passkey, answer: PasskeyResponse, purpose: str, actor: Actor
) -> bool:
    """Return whether the passkey has signed an unused challenge for ``purpose``; use it up.

    The counter also goes back if a response is sent twice. The used-up challenge distinguishes this
    from a copied passkey.
    """
    if answer.is_embedded or not webauthn.is_good(answer.challenge, purpose):
        return False
    former = row.sign_count
    try:
        is_right = row.consume(answer)
    except CounterWentBack:
        if webauthn.consume(answer.challenge):
            record(user, events.PASSKEY_SUSPECT, actor, detail=row.name)
        return False
    return is_right and webauthn.consume(answer.challenge) and row.store_use(former)


MOST_PASSKEYS = 20
# For this time after a user has declined a passkey, the home page offers none.
DECLINED = timedelta(days=90)
# The maximum length of a credential ID in bytes (WebAuthn 4).
LONGEST_ID = 1023


def options_to_add(user: User, *, is_automatic: bool = False) -> dict[str, Any]:
    """Return options for ``navigator.credentials.create`` to add a passkey.

    ``is_automatic``: whether the browser may create the passkey without asking. Such a passkey must
        be discoverable, because the user does not know of it otherwise.
    """
    purpose = _purpose(user, is_automatic=is_automatic)
    resident_key = "required" if is_automatic else "preferred"
    existing = [row.descriptor for row in twofactor.PASSKEYS_OF.all(user=user.pk)]
    return webauthn.to_create(user, purpose, existing, resident_key)


def add(user: User, text: str, name: str, actor: Actor) -> list[str]:
    """Add a passkey to ``user``; return new recovery codes if there were none, else an empty list.

    ``text``: the JSON that the browser sent.

    Raises:
        WrongPasskey: the response is not valid.
        AlreadyThere: an account already has this passkey.
        TooManyFactors: the account has as many passkeys as allowed.
        AccountChanged: the account was changed in the meantime.
    """
    row = _verified(user, text, is_automatic=False)
    row.name = name or row.name
    with transaction.atomic():
        owner = _save(user, row)
        calls.created(row.pk, owner=owner.pk)
        shown = actor.by(Method.PASSKEY)
        return twofactor.note_added(user, owner, events.PASSKEY_ADDED, shown, name=row.name)


def add_automatic(user: User, text: str, actor: Actor) -> None:
    """Add an unconfirmed passkey to ``user``, and notify the owner.

    The caller must have checked ``policy.may_make_passkey``. Of several simultaneous requests, only
    one succeeds. No session is revoked, because the requirements of a sign-in do not change.

    Raises:
        WrongPasskey, AlreadyThere, TooManyFactors, AccountChanged: as in :func:`add`.
    """
    row = _verified(user, text, is_automatic=True)
    row.confirmed = False
    with transaction.atomic():
        _save(user, row, most=1)
        record(user, events.PASSKEY_MADE, actor, detail=row.name)


def confirm(user: User, passkey_id: int, saved: list[str], actor: Actor) -> bool:
    """Turn an unconfirmed passkey into a second factor; return whether there was one.

    As a proof of ownership, the passkey is as old as its confirmation. Every other session is
    revoked, as if the passkey were added now.

    ``saved``: recovery codes that the user has saved. They are ignored if the account already has a
        second factor.

    Raises:
        AccountChanged: the account was changed in the meantime.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        row = Passkey.objects.filter(user=owner, pk=passkey_id, confirmed=False).first()
        if row is None:
            return False
        if not twofactor.held(owner).count:
            # After a lock, recovery codes may remain without a factor, but the user has saved other
            # codes.
            twofactor.remove_codes(owner)
        row.confirmed, row.made_at = True, clock.now()
        row.save(update_fields=["confirmed", "made_at"])
        event = events.PASSKEY_CONFIRMED
        twofactor.note_added(user, owner, event, actor, name=row.name, saved=saved)
    return True


def decline(user: User) -> None:
    """Record that ``user`` has declined to add a passkey."""
    User.objects.filter(pk=user.pk).update(passkey_declined_at=clock.now())


def reconsider(user: User) -> bool:
    """Offer ``user`` a passkey again; return whether ``user`` had declined one before."""
    declined = User.objects.filter(pk=user.pk, passkey_declined_at__isnull=False)
    return bool(declined.update(passkey_declined_at=None))


def is_declined(user: User) -> bool:
    """Return whether ``user`` has declined a passkey in the last 90 days."""
    at = user.passkey_declined_at
    return at is not None and clock.now() < at + DECLINED


def remove_unconfirmed(user: User, actor: Actor) -> None:
    """Remove the unconfirmed passkeys of ``user``, because the password has changed."""
    for row in Passkey.objects.filter(user=user, confirmed=False):
        row.delete()
        record(user, events.PASSKEY_REMOVED, actor, detail=row.name, mail=False)


def _purpose(user: User, *, is_automatic: bool) -> str:
    """Return the purpose of challenges for a new passkey of ``user``.

    A change of credentials changes the purpose, so that earlier challenges are no longer valid.
    """
    act = "make" if is_automatic else "add"
    return f"{act} {user.stamp}"


def _verified(user: User, text: str, *, is_automatic: bool) -> Passkey:
    """Verify the new passkey in ``text`` and use up its challenge; return it unsaved.

    Raises:
        WrongPasskey: the response is not valid.
    """
    answer = parse(text)
    purpose = _purpose(user, is_automatic=is_automatic)
    if answer.is_embedded or not webauthn.is_good(answer.challenge, purpose):
        raise WrongPasskey
    from accounts.twofactor import signatures  # noqa: PLC0415 its library takes 10 MB

    verified = signatures.verify_registration(answer, is_automatic=is_automatic)
    if len(verified.credential_id) > LONGEST_ID or not webauthn.consume(answer.challenge):
        raise WrongPasskey
    row = Passkey(
        user=user,
        credential_id=crypto.encode(verified.credential_id),
        public_key=crypto.encode(verified.credential_public_key),
        sign_count=verified.sign_count,
        transports=answer.transports,
        aaguid=verified.aaguid,
        is_eligible=verified.credential_device_type == MULTI_DEVICE,
        is_synced=verified.credential_backed_up,
    )
    row.name = row.provider or _("Passkey")
    return row


def _save(user: User, row: Passkey, *, most: int = MOST_PASSKEYS) -> User:
    """Save ``row`` in the caller's transaction; return the locked row of ``user``.

    Raises:
        AlreadyThere: an account already has this passkey.
        TooManyFactors: the account already has ``most`` passkeys.
        AccountChanged: the account was changed in the meantime.
    """
    owner = users.lock_row(user)
    if Passkey.objects.filter(user=owner).count() >= most:
        raise TooManyFactors
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise AlreadyThere from None
    return owner
