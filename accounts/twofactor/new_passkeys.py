"""Adds passkeys: those that a user asks for, and those that the browser makes by itself.

After a sign-in with the password, some browsers make a passkey without asking (WebAuthn Level 3,
conditional create). Such a passkey is unconfirmed. It signs in where the password alone would, so
it gives nothing that the password did not give. It is a second factor only after its user has
confirmed it and saved recovery codes (docs/decisions/0011).
"""

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import base64url, clock
from accounts.common.proofs import Method
from accounts.twofactor import challenges, webauthn_options
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import AlreadyThere, TooManyFactors, WrongPasskey
from accounts.twofactor.models import MULTI_DEVICE, Passkey
from accounts.twofactor.passkeys import of
from accounts.twofactor.webauthn import parse
from accounts.users import services as users
from accounts.users.models import User

MOST_PASSKEYS = 20
# How long the home page offers no passkey to a user who has declined one.
DECLINED = timedelta(days=90)
# The maximum length of a credential ID in bytes (WebAuthn 4).
LONGEST_ID = 1023


def options_to_add(user: User, *, is_automatic: bool = False) -> dict[str, Any]:
    """Return options for ``navigator.credentials.create`` to add a passkey.

    ``is_automatic``: whether the browser may make the passkey without asking. Such a passkey must
        be discoverable, because nobody would know of another one.
    """
    purpose = _purpose(user, is_automatic=is_automatic)
    resident_key = "required" if is_automatic else "preferred"
    return webauthn_options.to_create(user, purpose, of(user), resident_key)


def add(user: User, text: str, name: str, actor: Actor) -> list[str]:
    """Add a passkey to ``user``; return new recovery codes if there were none, else an empty list.

    ``text`` is the JSON that the browser sent.

    Raises:
        WrongPasskey: the response is not valid.
        AlreadyThere: an account already has this passkey.
        TooManyFactors: the account has as many passkeys as allowed.
        AccountChanged: the account was changed in the meantime.
    """
    row = _verified(user, text, is_automatic=False)
    row.name = name or row.name
    try:
        with transaction.atomic():
            owner = _save(user, row)
            shown = actor.by(Method.PASSKEY)
            return twofactor.note_added(user, owner, events.PASSKEY_ADDED, shown, name=row.name)
    except IntegrityError:
        raise AlreadyThere from None


def add_automatic(user: User, text: str, actor: Actor) -> None:
    """Add an unconfirmed passkey to ``user``, and notify the owner.

    The caller must have checked ``policy.may_make_passkey``. Of several simultaneous requests, only
    one succeeds. No session is revoked: what a sign-in requires stays the same.

    Raises:
        WrongPasskey, AlreadyThere, TooManyFactors, AccountChanged: as in :func:`add`.
    """
    row = _verified(user, text, is_automatic=True)
    row.confirmed = False
    try:
        with transaction.atomic():
            _save(user, row, most=1)
            record(user, events.PASSKEY_MADE, actor, detail=row.name)
    except IntegrityError:
        raise AlreadyThere from None


def confirm(user: User, passkey_id: int, saved: list[str], actor: Actor) -> bool:
    """Make an unconfirmed passkey a second factor; return whether there was one.

    In a dispute, its age counts from now on. Every other session is revoked, as if the passkey were
    added now.

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
            # Codes without a factor may be left after a lock. The user has saved others.
            twofactor.remove_codes(owner, actor)
        row.confirmed, row.made_at = True, clock.now()
        row.save(update_fields=["confirmed", "made_at"])
        event = events.PASSKEY_CONFIRMED
        twofactor.note_added(user, owner, event, actor, name=row.name, saved=saved)
    return True


def decline(user: User) -> None:
    """Record that ``user`` does not want to add a passkey now."""
    User.objects.filter(pk=user.pk).update(passkey_declined_at=clock.now())


def is_declined(user: User) -> bool:
    """Return whether ``user`` has declined a passkey in the last 90 days."""
    at = user.passkey_declined_at
    return at is not None and clock.now() < at + DECLINED


def remove_unconfirmed(user: User, actor: Actor) -> None:
    """Remove the unconfirmed passkeys of ``user``, which rest on a password that has changed."""
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
    """Return the new passkey in ``text``, unsaved, after using up its challenge.

    Raises:
        WrongPasskey: the response is not valid.
    """
    answer = parse(text)
    purpose = _purpose(user, is_automatic=is_automatic)
    if answer.is_embedded or not challenges.is_good(answer.challenge, purpose):
        raise WrongPasskey
    from accounts.twofactor import signatures  # noqa: PLC0415 its library takes 10 MB

    verified = signatures.verify_registration(answer, is_automatic=is_automatic)
    if len(verified.credential_id) > LONGEST_ID or not challenges.spend(answer.challenge):
        raise WrongPasskey
    row = Passkey(
        user=user,
        credential_id=base64url.encode(verified.credential_id),
        public_key=base64url.encode(verified.credential_public_key),
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
        TooManyFactors: the account already has ``most`` passkeys.
        AccountChanged: the account was changed in the meantime.
    """
    owner = users.lock_row(user)
    if Passkey.objects.filter(user=owner).count() >= most:
        raise TooManyFactors
    row.save()
    return owner
