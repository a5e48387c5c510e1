"""The second step of a sign-in, for pages and for the API: offer methods and check codes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction

from accounts.activity.services import Actor
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common.client_info import ClientInfo
from accounts.common.localization import speaking
from accounts.common.proofs import Proof
from accounts.mail.services import Queue, post
from accounts.sessions import known_browsers
from accounts.sessions.models import KnownBrowser
from accounts.signin import mailed_codes, policy
from accounts.throttle.limits import (
    MAIL_AGAIN,
    MAIL_BROWSER,
    MAIL_SECOND,
    MAIL_SECOND_SUBSCRIBER,
    Budget,
)
from accounts.throttle.services import hit, wait
from accounts.twofactor import services as twofactor
from accounts.twofactor import verification
from accounts.twofactor.errors import MailedCodeUsedUp
from accounts.users import emails
from accounts.users import services as users
from accounts.users.models import User

CODE = Purpose("second.code")


class SecondMethod(StrEnum):
    """The methods of a second step in order of preference."""

    PASSKEY = "passkey"
    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    EMAIL = "email"


class NoMail(codes.WrongCode):
    """An emailed code is not accepted as the second step of this sign-in."""

    status = 401


def methods(user: User, proofs: tuple[Proof, ...]) -> list[SecondMethod]:
    """Return the methods with which ``user`` can complete the second step after ``proofs``."""
    held = twofactor.held(user)
    only_passkey = twofactor.needs_passkey(user) and bool(held.passkeys)
    is_held = {
        SecondMethod.PASSKEY: bool(held.passkeys),
        SecondMethod.TOTP: bool(held.authenticators) and not only_passkey,
        SecondMethod.RECOVERY_CODE: bool(held.recovery_codes and held.recovery_codes.left),
        SecondMethod.EMAIL: policy.takes_mail(user, proofs) and bool(user.email),
    }
    return [method for method in SecondMethod if is_held[method]]


@dataclass(frozen=True)
class Offer:
    """The methods that a second step accepts.

    ``method``: the method that the page asks for.
    ``is_mailed``: whether a code was emailed and is accepted.
    """

    accepted: list[SecondMethod]
    method: SecondMethod
    is_mailed: bool

    @property
    def others(self) -> list[SecondMethod]:
        """The accepted methods that the page only links to."""
        return [method for method in self.accepted if method != self.method]


def offer(user: User, proofs: tuple[Proof, ...], *, wanted: str = "", nonce: str = "") -> Offer:
    """Return the methods with which ``user`` can complete the second step after ``proofs``.

    The page asks for the ``wanted`` method if it is accepted. Otherwise, the page asks for an
    emailed code if ``nonce`` identifies a request for one. Otherwise, it asks for the most
    preferred method.
    """
    accepted = methods(user, proofs)
    is_mailed = bool(nonce) and SecondMethod.EMAIL in accepted
    default = SecondMethod.EMAIL if is_mailed else next(iter(accepted), SecondMethod.TOTP)
    method = next((method for method in accepted if method == wanted), default)
    return Offer(accepted, method, is_mailed)


def send_code(user: User, proofs: tuple[Proof, ...], nonce: str, client: ClientInfo) -> None:
    """Email a code for the second step to the primary email address of ``user``.

    ``nonce``: identifies the request; :func:`verify` needs it to check the code.

    Raises:
        NoMail: emailed codes are not accepted after ``proofs``, or the user has no email
            address.
        RateLimited: too many emails were requested.
    """
    if not (policy.takes_mail(user, proofs) and user.email):
        raise NoMail
    browser = known_browsers.find_browser(client, user)
    hit(_of_request(user, client), *budgets_of_mail(user, browser, client))
    with transaction.atomic():
        code = codes.issue_code(CODE, f"{user.stamp} {nonce}")
        with speaking(user.language):
            post(
                mailed_codes.second_code_message(user, code, client.device),
                life=CODE.life,
                queue=Queue.CODES,
            )


def verify(
    user: User,
    proofs: tuple[Proof, ...],
    typed: str,
    actor: Actor,
    *,
    nonce: str = "",
    removed: Callable[[str], Proof | None] | None = None,
) -> Proof:
    """Check the code ``typed`` with every accepted method; return the proof.

    ``proofs``: the earlier proofs of the user, on which the accepted methods depend.
    ``nonce``: identifies the request for an emailed code; empty if there was none.
    ``removed``: uses up a code of a removed factor and returns the proof, or None if the code is
        wrong. Without this function, removed factors are not accepted.

    Raises:
        WrongFactorCode: the code is wrong for every method.
        RateLimited: there were too many guesses.
    """

    def is_mailed(code: str) -> bool:
        subject = f"{user.stamp} {nonce}"
        try:
            is_right = codes.try_code(CODE, subject, code) and codes.redeem(CODE, subject, code)
        except codes.UsedUp:
            raise MailedCodeUsedUp from None
        if is_right:
            users.note_answer(emails.key(user.email))
        return is_right

    takes_mail = bool(nonce) and policy.takes_mail(user, proofs)
    mail_check = is_mailed if takes_mail else None
    return verification.verify(user, typed, actor, mailed=mail_check, removed=removed)


def seconds_to_next_mail(user: User, client: ClientInfo) -> int:
    """Return the number of seconds until :func:`send_code` may be called again; 0 means now."""
    return wait(_of_request(user, client))


def budgets_of_mail(user: User, browser: KnownBrowser | None, client: ClientInfo) -> list[Budget]:
    """Return the rate limits of an emailed code.

    A known browser has its own limits, which a thief who enters the password in another browser
    cannot use up.
    """
    if browser:
        return [MAIL_BROWSER.of(browser.user_id, browser.pk)]
    return [MAIL_SECOND_SUBSCRIBER.of(user.pk, client.wide_network), MAIL_SECOND.of(user.pk)]


def _of_request(user: User, client: ClientInfo) -> Budget:
    return MAIL_AGAIN.of(CODE.name, user.pk, client.known_cookie or client.network)
