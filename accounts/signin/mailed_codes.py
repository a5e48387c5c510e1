"""Sends and checks emailed sign-in codes, and finds the recipient of a requested email.

A person requests an email by typing a login. The functions behave in the same way whether or not an
account has this login, so that the response does not reveal it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import CODE_LIFE, Purpose, WrongCode
from accounts.common import clock, crypto, secrets
from accounts.common.client_info import ClientInfo, Device
from accounts.common.errors import PublicError
from accounts.common.localization import speaking
from accounts.common.pages import absolute
from accounts.common.proofs import Method, Proof
from accounts.common.text import written_code
from accounts.mail.message import Message
from accounts.mail.services import Queue, post
from accounts.sessions import known_browsers
from accounts.sessions.models import KnownBrowser
from accounts.throttle import services as throttle
from accounts.throttle.limits import (
    CODE_GUESS,
    MAIL_AGAIN,
    MAIL_BROWSER,
    REQUEST_EVERYONE,
    REQUEST_NETWORK,
    Budget,
)
from accounts.throttle.services import around, give_back, hit, wait
from accounts.users import emails
from accounts.users import services as users
from accounts.users.models import EmailAddress, User

# The key of the code request in the session data.
KEY = "mail_code"


@dataclass(frozen=True)
class CodeRequest:
    """A request for an emailed sign-in code.

    ``login``: the username or email address that was typed.
    ``nonce``: distinguishes this request from the requests of other browsers.
    ``remember``: whether the session will outlive the browser.
    ``next_url``: the page to open after the sign-in.
    ``until``: the Unix time at which the request expires.
    """

    login: str
    nonce: str
    remember: bool
    next_url: str
    until: float


def make(login: str, *, remember: bool, next_url: str) -> CodeRequest:
    """Return a new request for a code. The request expires together with the code."""
    until = (clock.now() + CODE_LIFE).timestamp()
    return CodeRequest(login, new_nonce(), remember, next_url, until)


def store(request: HttpRequest, code_request: CodeRequest) -> None:
    """Store ``code_request`` in this browser's session data."""
    request.session[KEY] = asdict(code_request)


def find_code_request(request: HttpRequest) -> CodeRequest | None:
    """Return the code request of this browser; None if there is none or it has expired."""
    data = request.session.get(KEY)
    return CodeRequest(**data) if data and data["until"] > clock.now().timestamp() else None


def discard(request: HttpRequest) -> None:
    """Delete the code request from this browser's session data."""
    request.session.pop(KEY, None)


CODE = Purpose("signin.code")


def challenge_of(purpose: Purpose, login: str, nonce: str) -> str:
    """Return the challenge that an API client must send together with the emailed code.

    The challenge replaces the session data of a browser: the code is accepted only with it.
    """
    content = json.dumps([login, nonce], ensure_ascii=False)
    return crypto.seal(content, f"challenge {purpose.name}")


def read_challenge(purpose: Purpose, challenge: str) -> tuple[str, str]:
    """Return the login and the nonce in ``challenge``.

    Raises:
        WrongCode: this site has not created ``challenge`` for ``purpose``.
    """
    try:
        login, nonce = json.loads(crypto.unseal(challenge, f"challenge {purpose.name}"))
    except InvalidToken:
        raise WrongCode from None
    return login, nonce


# The purpose of links that reset a password, which ``passwords.changes`` redeems.
RESET = Purpose("password.reset", life=timedelta(minutes=30))


@dataclass(frozen=True)
class Recipient:
    """The recipient of an email that was requested with a login.

    ``key``: the canonical form of the login.
    ``user``: None if no active account has the login.
    ``email``: the email address to send to; empty if no email may be sent.
    ``is_former``: whether the account no longer has the email address.
    """

    key: str
    user: User | None = None
    email: str = ""
    is_former: bool = False

    @property
    def language(self) -> str:
        """The language of the user, not of the client, because anybody may request the email."""
        return self.user.language if self.user else ""

    def subject(self, nonce: str) -> str:
        """Return the string that identifies the account and the request of a code or link.

        The string contains the ``credential_version`` of the user, so that a change of credentials
        or email addresses invalidates earlier codes and links. ``nonce`` identifies the request, so
        that a request from one browser does not invalidate the code of another browser.
        """
        if self.user:
            return f"{self.user.stamp} {nonce}"
        return f"{hashlib.sha256(self.key.encode()).hexdigest()[:32]} {nonce}"


def new_nonce() -> str:
    """Return a random string that identifies one request for a code or link."""
    return secrets.hexadecimal(16)[:12]


def recipient_of(login: str) -> Recipient:
    """Return the recipient of an email that was requested with ``login``.

    If ``login`` is an email address, the email goes to that address. If it is a username, the email
    goes to the primary email address of the user. Pending sign-ups and deactivated accounts receive
    nothing. The same queries run in every case.
    """
    key = users.login_key(login)
    account = users.find_by_login(login)
    user = account if isinstance(account, User) and account.is_active else None
    wanted = key if "@" in key else emails.key(user.email) if user else ""
    # The email goes to the stored address, not to the typed spelling (CVE-2019-19844).
    row = EmailAddress.objects.filter(user=user, key=wanted).first()
    return Recipient(key, user, row.email) if user and row else Recipient(key)


def recipient_for(
    purpose: Purpose,
    login: str,
    client: ClientInfo,
    complete: Callable[[Recipient], Recipient] = lambda recipient: recipient,
) -> Recipient:
    """Count the request for an email against the rate limits, and return the recipient.

    If the mailbox has already received too many emails, the recipient has no email address.

    ``complete``: may replace the recipient, for example with a former address of the account.

    Raises:
        RateLimited: the client has requested too many emails.
    """
    again, *budgets = budgets_of_request(purpose, login, client)
    # Without the cookie of a known browser, the limits are checked before any lookup, so that one
    # statement refuses a flood.
    if not client.known_cookie:
        hit(again, *budgets)
    recipient = complete(recipient_of(login))
    browser = known_browsers.find_browser(client, recipient.user)
    if browser:
        budgets = [MAIL_BROWSER.of(browser.user_id, browser.pk)]
    if client.known_cookie:
        hit(again, *budgets)
    box = emails.key(recipient.email) if recipient.email else recipient.key
    if browser:
        return recipient
    is_known = known_browsers.is_known_client(client, recipient.user)
    may_send = throttle.may_send(box, client, is_known=is_known)
    return recipient if may_send else replace(recipient, email="")


def budgets_of_request(purpose: Purpose, login: str, client: ClientInfo) -> list[Budget]:
    """Return the rate limits for a request for an email from an unknown browser.

    A request from a browser that the account knows counts only against the first of these limits.
    No account is looked up.

    The limits count by typed login, not by account. Otherwise refusals would reveal which usernames
    and email addresses belong to the same account.
    """
    key = users.login_key(login)
    # Counted by browser, so that users of the same network do not make each other wait.
    again = MAIL_AGAIN.of(purpose.name, key, client.known_cookie or client.network)
    return [again, *_of_stranger(key, client)]


def _of_stranger(key: str, client: ClientInfo) -> list[Budget]:
    network = around(REQUEST_NETWORK, client)
    return [*network, throttle.of_request(key, client), REQUEST_EVERYONE.of()]


def budgets_of_mail(key: str, client: ClientInfo) -> list[Budget]:
    """Return the rate limits, of an unknown browser and of the mailbox, for one email.

    ``key``: the canonical form of a username or email address.
    """
    return [*_of_stranger(key, client), *throttle.of_mailbox(key, client)]


def send_code(login: str, nonce: str, client: ClientInfo) -> None:
    """Email a sign-in code to the user who has ``login``.

    The code is valid only in the browser that has ``nonce``.

    Raises:
        RateLimited: the client has requested too many emails.
    """
    recipient = recipient_for(CODE, login, client, _unlocked)
    with transaction.atomic():
        is_sent = bool(recipient.email)
        code = codes.issue_code(CODE, recipient.subject(nonce), is_sent=is_sent)
        with speaking(recipient.language):
            mail = code_message(recipient.email, code, client.device)
            post(mail, life=CODE.life, queue=Queue.CODES)


def verify_mailed_code(
    login: str,
    nonce: str,
    typed: str,
    client: ClientInfo,
    check: Callable[[User], None] = lambda _user: None,
) -> tuple[User, Proof]:
    """Use up the code ``typed``; return the user, and the proof of access to the mailbox.

    ``check``: called with the user before a right code is used up. If it raises an error, the code
        stays valid.

    Raises:
        UsedUp: the code has no attempts left.
        WrongCode: the code is wrong, used or expired, or the account was changed after the
            request.
        RateLimited: there were too many guesses.
    """
    recipient, browser, budgets = _guessing(login, client)
    subject = recipient.subject(nonce)
    error: type[PublicError] = WrongCode
    try:
        is_right = codes.try_code(CODE, subject, typed)
        if is_right and recipient.user:
            check(recipient.user)
            is_right = codes.redeem(CODE, subject, typed)
    except codes.UsedUp:
        is_right, error = False, codes.UsedUp
    if not is_right or recipient.user is None:
        record(recipient.user, events.SIGN_IN_FAILED, Actor(client), detail=Failure.CODE)
        raise error
    give_back(*budgets)
    email = emails.key(recipient.email)
    users.note_answer(email)
    if browser is None:
        throttle.refund(email, client, recipient.key)
    return recipient.user, Proof.now(Method.MAIL, email)


def _guessing(
    login: str, client: ClientInfo
) -> tuple[Recipient, KnownBrowser | None, list[Budget]]:
    """Count a guess at a code; return its recipient, the known browser and the rate limits."""
    budgets = around(CODE_GUESS, client)
    if not client.known_cookie:
        hit(*budgets)
    recipient = _unlocked(recipient_of(login))
    browser = known_browsers.find_browser(client, recipient.user)
    if browser:
        budgets = [CODE_GUESS.of(browser.user_id, browser.pk)]
    if client.known_cookie:
        hit(*budgets)
    return recipient, browser, budgets


def _unlocked(recipient: Recipient) -> Recipient:
    """Return ``recipient``, or a recipient without user and email if the account is locked.

    Only a password reset may unlock an account, so no sign-in code is sent to a locked one.
    """
    is_locked = recipient.user is not None and recipient.user.is_locked_down
    return Recipient(recipient.key) if is_locked else recipient


def seconds_to_next_mail(login: str, client: ClientInfo) -> int:
    """Return the number of seconds until :func:`send_code` may be called again; 0 means now."""
    return wait(budgets_of_request(CODE, login, client)[0])


def code_message(email: str, secret: str, device: Device) -> Message:
    """Return the email with a sign-in code. If ``email`` is empty, the email is not sent."""
    about = {"email": email, "site": settings.AUTHSITE.site_name, "code": written_code(secret)}
    unasked = _(
        "Someone entered your username or email address. They can’t sign in without "
        "this code, so you don’t need to do anything."
    )
    return Message(
        to=email,
        subject=_("%(code)s is your code to sign in to %(site)s") % about,
        heading=_("Your code to sign in"),
        **_code(secret, device, unasked),
        reason=_("Sent to %(email)s because someone asked for a code to sign in to %(site)s.")
        % about,
    )


def second_code_message(user: User, secret: str, device: Device) -> Message:
    """Return the email with a code for the second step of a sign-in with the password."""
    site = settings.AUTHSITE.site_name
    about = {"email": user.email, "username": user.username, "site": site}
    unasked = _("Someone else knows your password. Don’t share this code. Reset your password now.")
    return Message(
        to=user.email,
        subject=_("%(code)s is your code to finish signing in to %(site)s")
        % {"code": written_code(secret), **about},
        heading=_("Your code to finish signing in"),
        greeting=_("Hello %(name)s,") % {"name": user.username},
        **_code(secret, device, unasked),
        action_label=_("Reset my password"),
        action_url=absolute("account_reset_password"),
        reason=_(
            "Sent to %(email)s because this address belongs to the account %(username)s at "
            "%(site)s."
        )
        % about,
    )


def _code(secret: str, device: Device, unasked: str) -> dict[str, Any]:
    """Return the parts of a message with a code.

    The message names the device that requested the code, so that the user can notice a request by
    an attacker. ``unasked``: explains what it means if the user did not request the code.
    """
    return {
        "paragraphs": [_("Enter this code on the page where you asked for it:")],
        "code": written_code(secret),
        "facts": [(_("Requested from"), str(device)), (_("Valid for"), _("10 minutes"))],
        "questions": [(_("Didn’t ask for this code?"), unasked)],
    }
