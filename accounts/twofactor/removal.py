"""Renames and removes second factors."""

from django.db import transaction

from accounts.activity import events
from accounts.activity.kinds import Event
from accounts.activity.services import Actor, record
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import OnlyPasskeyLeft, PasskeyRequired, Required
from accounts.twofactor.models import Authenticator, Passkey, RecoveryCodes
from accounts.users import identities
from accounts.users import services as users
from accounts.users.models import User

RENAMED = {Authenticator: events.FACTOR_RENAMED, Passkey: events.PASSKEY_RENAMED}
REMOVED = {Authenticator: events.FACTOR_REMOVED, Passkey: events.PASSKEY_REMOVED}


def rename(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, name: str, actor: Actor
) -> bool:
    """Rename a factor of ``user``; return whether the factor exists."""
    with transaction.atomic():
        if not kind.objects.filter(user=user, pk=factor_id).update(name=name):
            return False
        record(user, RENAMED[kind], actor, detail=name)
    return True


def remove(
    kind: type[Authenticator] | type[Passkey], user: User, factor_id: int, actor: Actor
) -> bool:
    """Remove a factor of ``user``; return whether the factor existed.

    The recovery codes are removed with the last factor.

    Raises:
        Required, OnlyPasskeyLeft: see :func:`refuse_removal`.
        AccountChanged: the account was changed in the meantime.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        row = kind.objects.filter(user=owner, pk=factor_id).first()
        if row is None:
            return False
        refuse_removal(owner, row)
        if is_last(owner, row):
            twofactor.remove_codes(owner, actor)
        twofactor.keep(row, actor)
        row.delete()
        twofactor.tell(user, REMOVED[kind], actor, detail=row.name)
    return True


def is_last(user: User, row: Authenticator | Passkey) -> bool:
    """Return whether ``row`` is the only second factor of ``user``."""
    return row.confirmed and twofactor.held(user).count == 1


def refuse_removal(user: User, row: Authenticator | Passkey) -> None:
    """Raise an error if ``row`` must not be removed.

    Raises:
        Required: the user must have a second factor, and this is the last one.
        PasskeyRequired: the user must have a passkey, and this is the last one.
        OnlyPasskeyLeft: without this passkey, the mailbox would be the only way to sign in.
    """
    if not row.confirmed:
        return
    has = twofactor.held(user)
    if has.count == 1 and twofactor.is_required(user):
        raise Required
    is_last_passkey = isinstance(row, Passkey) and len(has.passkeys) == 1
    if is_last_passkey and twofactor.needs_passkey(user):
        raise PasskeyRequired
    if is_last_passkey and not (user.has_usable_password() or identities.usable(user)):
        raise OnlyPasskeyLeft


def reset(user: User, actor: Actor) -> None:
    """Remove every second factor of ``user`` for an operator, and revoke every session."""
    with transaction.atomic():
        users.lock_row_as_is(user)
        remove_all(user, events.FACTORS_RESET, actor)


def remove_all(user: User, event: Event, actor: Actor) -> None:
    """Remove every factor of ``user``, and revoke every session, in the caller's transaction."""
    for model in (Authenticator, Passkey, RecoveryCodes):
        model.objects.filter(user=user).delete()
    twofactor.tell(user, event, actor, keep=False)
