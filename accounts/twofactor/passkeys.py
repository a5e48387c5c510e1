"""Passkeys (WebAuthn Level 3): creates options for browsers, and verifies their responses."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import django_otp
from django.db import transaction

from accounts.activity import events
from accounts.activity.failures import Failure
from accounts.activity.services import Actor, record
from accounts.common import base64url
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.common.signals import factor_proved
from accounts.sessions import guesses
from accounts.throttle.limits import Budget
from accounts.throttle.services import give_back, spend
from accounts.twofactor import budgets, challenges, webauthn_options
from accounts.twofactor import services as twofactor
from accounts.twofactor.errors import (
    LockedAccountPasskey,
    UnknownPasskey,
    WrongPasskey,
)
from accounts.twofactor.models import Assertion, CounterWentBack, Passkey
from accounts.twofactor.webauthn import Answer, parse
from accounts.users import former_credentials
from accounts.users.models import FormerCredential, User

LOGIN = "login"


def second_purpose(user: User) -> str:
    """Return the purpose of challenges for the second step or reauthentication of ``user``.

    A change of credentials changes the purpose, so that earlier challenges are no longer valid.
    """
    return f"second {user.stamp}"


def of(user: User) -> list[Passkey]:
    """Return the passkeys of ``user``, oldest first, including unconfirmed ones."""
    return list(Passkey.objects.filter(user=user).order_by("pk"))


def suspended_ids(user: User) -> list[str]:
    """Return the credential ids of the passkeys that a lock of the account has suspended."""
    rows = former_credentials.suspended(user).filter(kind=FormerCredential.Kind.FACTOR)
    ids = [row.data["fields"].get("credential_id") for row in rows]
    return [credential_id for credential_id in ids if credential_id]


def options_to_sign_in() -> dict[str, Any]:
    """Return options for ``navigator.credentials.get`` to sign in with any passkey."""
    return webauthn_options.to_get(LOGIN, [], "required")


def challenge_to_sign_in() -> str:
    """Return a new challenge as :func:`options_to_sign_in` contains it; the rest never changes."""
    return base64url.encode(challenges.issue(LOGIN))


def options_to_prove(user: User, removed: Sequence[Passkey] = ()) -> dict[str, Any]:
    """Return options for ``navigator.credentials.get`` to show a passkey of ``user``.

    Use them for the second step and reauthentication, where unconfirmed passkeys do not count. They
    also allow the passkeys in ``removed``.
    """
    rows = [*twofactor.held(user).passkeys, *removed]
    return webauthn_options.to_get(second_purpose(user), rows, "preferred")


def sign_in(text: str, actor: Actor) -> tuple[User, Proof]:
    """Verify a sign-in with a passkey; return the owner of the passkey and the proof.

    ``text`` is the JSON that the browser sent. The passkey must have verified the user, because the
    proof counts as both steps, unless the passkey is unconfirmed.

    Raises:
        WrongPasskey: the response is not valid, or the passkey has not verified the user.
        UnknownPasskey: no account has the passkey.
        LockedAccountPasskey: the response is valid, but the account is locked.
        RateLimited: too many attempts.
    """
    spent = _spend_sign_in(text, actor.client or NO_CLIENT)
    answer = parse(text)
    row = _find(answer)
    if row is None:
        record(None, events.SIGN_IN_FAILED, actor, detail=Failure.PASSKEY)
        if former_credentials.has_passkey(answer.credential_id):
            # The owner may put the passkey back, so the browser must not be told to delete it.
            raise WrongPasskey
        raise UnknownPasskey(answer.credential_id)
    is_right = _is_right(row.user, row, answer, LOGIN, actor, must_verify=True)
    method = Method.PASSKEY if row.confirmed else Method.UNCONFIRMED_PASSKEY
    proof = Proof.now(method, row.persistent_id)
    if is_right and row.confirmed:
        factor_proved.send(User, user=row.user, proof=proof, actor=actor)
    # Only a password reset unlocks an account.
    if row.user.is_locked_down or not is_right:
        failure = Failure.LOCKED if is_right else Failure.PASSKEY
        record(row.user, events.SIGN_IN_FAILED, actor, detail=failure)
        raise LockedAccountPasskey(row.user, proof) if is_right else WrongPasskey
    give_back(*spent)
    return row.user, proof


def _find(answer: Answer) -> Passkey | None:
    rows = Passkey.objects.select_related("user")
    return rows.filter(credential_id=answer.credential_id).first()


def _spend_sign_in(text: str, client: ClientInfo) -> list[Budget]:
    """Count the attempt against the rate limits that apply, and return the budgets."""
    owner = None
    if client.known_cookie:
        with suppress(WrongPasskey):
            row = _find(parse(text))
            owner = row.user if row else None
    spent = budgets.of_passkey(owner, Actor(client))
    spend(*spent)
    return spent


def prove(
    user: User,
    text: str,
    actor: Actor,
    *,
    removed: Callable[[Assertion], Proof | None] | None = None,
) -> Proof:
    """Verify a passkey of ``user`` at the second step or reauthentication; return the proof.

    ``text`` is the JSON that the browser sent. Nobody can guess a passkey, so attempts are not
    limited for each account. ``removed`` verifies a removed passkey, where that is accepted.

    Raises:
        WrongPasskey: the response is not valid.
        RateLimited: too many attempts.
    """
    spent = budgets.of_passkey(user, actor)
    spend(*spent)
    answer = parse(text)
    rows = Passkey.objects.filter(user=user, credential_id=answer.credential_id)
    row = rows.filter(confirmed=True).first()
    if row is None and removed and (proof := _of_removed(user, answer, removed)):
        return proof
    if row is None or not _is_right(
        user, row, answer, second_purpose(user), actor, must_verify=False
    ):
        if actor.session:
            guesses.record_failed_proof(user, actor)
        else:
            record(user, events.FACTOR_FAILED, actor)
        raise WrongPasskey
    give_back(*spent)
    proof = Proof.now(Method.PASSKEY, row.persistent_id)
    factor_proved.send(User, user=user, proof=proof, actor=actor)
    return proof


def options_to_confirm(row: Passkey) -> dict[str, Any]:
    """Return options for ``navigator.credentials.get`` to show the unconfirmed passkey ``row``."""
    return webauthn_options.to_get(_confirm_purpose(row), [row], "preferred")


def check_unconfirmed(row: Passkey, text: str, actor: Actor) -> None:
    """Verify that the user has the unconfirmed passkey ``row``; ``text`` is the browser's JSON.

    Raises:
        WrongPasskey: the response is not valid, or it is from another passkey.
        RateLimited: too many attempts.
    """
    spent = budgets.of_passkey(row.user, actor)
    spend(*spent)
    answer, purpose = parse(text), _confirm_purpose(row)
    is_same = answer.credential_id == row.credential_id
    if not (is_same and _is_right(row.user, row, answer, purpose, actor, must_verify=False)):
        raise WrongPasskey
    give_back(*spent)


def _confirm_purpose(row: Passkey) -> str:
    return f"confirm {row.pk} {row.user.credential_version}"


def _of_removed(
    user: User, answer: Answer, removed: Callable[[Assertion], Proof | None]
) -> Proof | None:
    """Return the proof of a removed passkey; None if the passkey did not sign a valid challenge."""
    if answer.is_embedded or not challenges.is_good(answer.challenge, second_purpose(user)):
        return None
    try:
        proof = removed(Assertion(json.dumps(answer.content), answer.challenge, must_verify=False))
    except CounterWentBack:
        return None
    return proof if challenges.spend(answer.challenge) else None


def _is_right(
    user: User, row: Passkey, answer: Answer, purpose: str, actor: Actor, *, must_verify: bool
) -> bool:
    """Return whether the passkey signed an unused challenge for ``purpose``; use the challenge up.

    The row of the passkey stays locked until the challenge is used up. Otherwise a response that is
    sent twice would look as if the passkey had been copied, because the counter is the same.
    """
    if answer.is_embedded:
        return False
    # Check the challenge first: an answer that is sent twice must not look like a copied passkey.
    if not challenges.is_good(answer.challenge, purpose) or challenges.is_spent(answer.challenge):
        return False
    assertion = Assertion(json.dumps(answer.content), answer.challenge, must_verify)
    with transaction.atomic():
        try:
            device = django_otp.verify_token(user, row.persistent_id, assertion)
        except CounterWentBack:
            if challenges.spend(answer.challenge):
                record(user, events.PASSKEY_SUSPECT, actor, detail=row.name)
            return False
        return device is not None and challenges.spend(answer.challenge)
