"""Verifies codes of second factors. Every code works only once.

A browser in which a factor was shown before has its own rate limits, which attempts in other
browsers do not use up. A six-digit code in a session counts against the limits of the session and
also of the account or browser. Otherwise a thief with a stolen session would have additional
guesses.
"""

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, has_happened, record
from accounts.common import clock
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.common.errors import RateLimited
from accounts.common.proofs import Method, Proof
from accounts.common.signals import factor_proved
from accounts.sessions import known_browsers
from accounts.sessions import services as sessions
from accounts.sessions.models import KnownBrowser
from accounts.throttle.limits import (
    CODE_GUESS,
    FACTOR_ACCOUNT,
    FACTOR_SUBSCRIBER,
    FACTOR_SUBSCRIBER_DAY,
    REAUTHENTICATION,
    UNGUESSABLE,
    Budget,
)
from accounts.throttle.services import around, give_back, hit, wait
from accounts.twofactor import models
from accounts.twofactor.errors import UnreadableFactor, WrongFactorCode, WrongSingleUseCode
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.twofactor.services import has_any, held
from accounts.users import former_credentials
from accounts.users.models import FormerCredential, User


def of_passkey(owner: User | None, actor: Actor) -> list[Budget]:
    """Return the rate limits for verifying the response of a passkey.

    ``owner``: the owner of the passkey, or None if the passkey is unknown.
    """
    if actor.session:
        return [REAUTHENTICATION.of(actor.session)]
    client = actor.client or NO_CLIENT
    if browser := known_browsers.find_browser(client, owner):
        return [UNGUESSABLE.of("passkey", browser.user_id, browser.pk)]
    return around(UNGUESSABLE, client, "passkey")


def of_code(browser: KnownBrowser | None, actor: Actor) -> list[Budget]:
    """Return the rate limits for an attempt to enter a code."""
    if actor.session:
        return [REAUTHENTICATION.of(actor.session)]
    if browser:
        return [CODE_GUESS.of(browser.user_id, browser.pk)]
    return around(CODE_GUESS, actor.client or NO_CLIENT)


def of_guess(user: User, browser: KnownBrowser | None, client: ClientInfo) -> list[Budget]:
    """Return the additional rate limits for a code of six or eight digits, which can be guessed.

    ``browser``: a browser in which a factor was shown before, or None. Such a browser has its own
        limits, so that guesses elsewhere do not lock the owner out.
    """
    if browser:
        return [limit.of(user.pk, browser.pk) for limit in (FACTOR_SUBSCRIBER, FACTOR_ACCOUNT)]
    of_line = [
        limit.of(user.pk, client.wide_network)
        for limit in (FACTOR_SUBSCRIBER, FACTOR_SUBSCRIBER_DAY)
    ]
    return [*of_line, FACTOR_ACCOUNT.of(user.pk)]


BLOCKED_NEWS = timedelta(hours=1)
FAILURE_NEWS = timedelta(days=1)


def verify(
    user: User,
    typed: str,
    actor: Actor,
    *,
    mailed: Callable[[str], bool] | None = None,
    removed: Callable[[str], Proof | None] | None = None,
) -> Proof:
    """Use up ``typed``, a code of a second factor of ``user``, and return the proof.

    Args:
        mailed: uses up an emailed code; returns whether it was right. By default, emailed codes are
            not accepted.
        removed: checks ``typed`` with removed factors that still prove ownership; returns the
            proof, or None. By default, only current factors are accepted.

    Raises:
        WrongFactorCode: no factor accepts the code.
        UnreadableFactor: the code cannot be checked, because a key of ``ENCRYPTION_KEYS`` is
            lost.
        RateLimited: there were too many attempts.
    """
    client = actor.client or NO_CLIENT
    browser = known_browsers.find_browser(client, user)
    # A browser also becomes known by a sign-in with an emailed code. It gets its own limits for
    # guesses only when a second factor is shown in it.
    proved = browser if browser and browser.factor_at else None
    code = models.canonical(typed)
    is_short = models.TOTP_CODE.fullmatch(code) is not None
    guess = of_guess(user, proved, client) if is_short or _may_be_imported(user, code) else []
    spent = [*of_code(browser, actor), *guess]
    _hit(spent, guess, user, actor)
    proof = _proof_of(user, code, actor, mailed) or (removed(code) if removed else None)
    if proof is None:
        _record_failure(user, actor, is_proved=proved is not None)
        raise _refusal(user, code)
    give_back(*spent)
    if proof.method is not Method.MAIL:
        factor_proved.send(User, user=user, proof=proof, actor=actor)
    return proof


def _hit(spent: list[Budget], guess: list[Budget], user: User, actor: Actor) -> None:
    """Count the attempt. If too many codes were guessed, record this, at most once an hour.

    ``spent``: the budgets of the attempt.
    ``guess``: the budgets that limit guesses of codes.
    """
    try:
        hit(*spent)
    except RateLimited:
        # After failures in a session, ``sessions.services`` notifies the owner instead.
        since = clock.now() - BLOCKED_NEWS
        is_news = not (actor.session or has_happened(user, events.FACTOR_BLOCKED, since))
        if wait(*guess) and is_news:
            with transaction.atomic():
                record(user, events.FACTOR_BLOCKED, actor)
        raise


@transaction.atomic
def _record_failure(user: User, actor: Actor, *, is_proved: bool) -> None:
    """Record a wrong code; notify the owner by email, at most once a day.

    The first step was right, so somebody may know the password (ASVS 6.3.5). The owner is not
    notified if a factor was shown in this browser before (``is_proved``): the owner has probably
    mistyped the code.
    """
    if actor.session:
        sessions.record_failed_reauthentication(user, actor)
        return
    since = clock.now() - FAILURE_NEWS
    is_news = not (is_proved or has_happened(user, events.FACTOR_FAILED_NEW, since))
    record(user, events.FACTOR_FAILED_NEW if is_news else events.FACTOR_FAILED, actor)


def _proof_of(
    user: User, code: str, actor: Actor, mailed: Callable[[str], bool] | None
) -> Proof | None:
    """Use up ``code`` and return the proof; None if no factor accepts the code."""
    if models.TOTP_CODE.fullmatch(code):
        rows = Authenticator.objects.filter(user=user).order_by("pk")
        used = next((row for row in rows if row.use(code)), None)
        return Proof.of(Method.TOTP, used) if used else None
    if models.RECOVERY_CODE.fullmatch(code):
        return _use_recovery_code(user, code, actor)
    if _may_be_imported(user, code) and (proof := _use_recovery_code(user, code, actor)):
        return proof
    is_mailed = mailed is not None and models.MAILED_CODE.fullmatch(code) and mailed(code)
    return Proof.now(Method.MAIL) if is_mailed else None


def _refusal(user: User, code: str) -> WrongFactorCode:
    """Return the error for ``code``, which no factor of ``user`` has accepted."""
    is_app = models.TOTP_CODE.fullmatch(code) is not None
    kind, refusal = (
        (Authenticator, WrongFactorCode) if is_app else (RecoveryCodes, WrongSingleUseCode)
    )
    is_mailed = models.MAILED_CODE.fullmatch(code) is not None
    is_lost = any(isinstance(factor, kind) for factor in held(user).unreadable)
    return UnreadableFactor() if is_lost and not is_mailed else refusal()


def _may_be_imported(user: User, code: str) -> bool:
    """Return whether ``code`` may be a recovery code of another system, which can be guessed.

    Other long codes cannot be guessed, so a limit for the account would only lock the owner out.
    """
    if not models.IMPORTED_CODE.fullmatch(code):
        return False
    # Removed codes still prove ownership during a lock, and could also be guessed.
    removed = former_credentials.removed(user, FormerCredential.Kind.RECOVERY_CODES)
    return (
        RecoveryCodes.objects.filter(user=user, name=models.IMPORTED_CODES).exists()
        or removed.filter(label=models.IMPORTED_CODES).exists()
    )


@transaction.atomic
def _use_recovery_code(user: User, code: str, actor: Actor) -> Proof | None:
    # The lock makes it possible that several codes are used at the same moment.
    row = RecoveryCodes.objects.select_for_update().filter(user=user).first()
    if row is None or not has_any(user) or not row.use(code):
        return None
    record(user, events.RECOVERY_CODE_USED, actor, detail=str(row.left))
    return Proof.of(Method.RECOVERY_CODE, row)
