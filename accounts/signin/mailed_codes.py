"""Codes and links for whoever types a name or an address; without an account it looks the same."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import secrets
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.languages import speaking
from accounts.common.proofs import Method, Proof
from accounts.mail.services import post
from accounts.sessions import known_browsers
from accounts.signin import mails
from accounts.throttle import mails as mail_limits
from accounts.throttle.limits import (
    CODE_BROWSER,
    CODE_NETWORK,
    MAIL_AGAIN,
    MAIL_BROWSER,
    RECOVERY_EVERYONE,
    RECOVERY_NETWORK,
)
from accounts.throttle.services import Charge, around, give_back, spend, wait
from accounts.users import emails
from accounts.users import services as users
from accounts.users.models import Address, User

CODE = Purpose("signin.code")
# A link to set a new password: spent in ``accounts.password_pages``.
RESET = Purpose("password.reset", life=timedelta(minutes=30))


class WrongCode(PublicError):
    """Wrong, old, used up, or nobody's: one answer for all."""

    code = "invalid_code"
    status = 401
    message = _("That code is not right, or not any more. Check it, or ask for a new mail.")


@dataclass(frozen=True)
class Recipient:
    """Whoever has the name or address ``key``: a user and the address to mail to, or nobody.

    ``is_former``: the account does not hold the address any more.
    """

    key: str
    user: User | None = None
    address: str = ""
    is_former: bool = False

    @property
    def language(self) -> str:
        """The recipient's language, never that of whoever asks: anybody can ask."""
        return self.user.language if self.user else ""

    def subject(self, nonce: str) -> str:
        """What a secret is issued for: a user as it is now (or nobody), and one request for it.

        A change of credentials or addresses makes it another subject, so that what was mailed
        before is worth nothing. With the nonce, nobody's asking ends what somebody else was sent.
        """
        if self.user:
            return f"{self.user.pk} {self.user.credential_version} {nonce}"
        return f"{hashlib.sha256(self.key.encode()).hexdigest()[:32]} {nonce}"


def new_nonce() -> str:
    """Tells one request for a secret from another."""
    return secrets.hexadecimal(16)[:12]


def recipient_of(login: str) -> Recipient:
    """Who gets a mail for what was typed: at the confirmed address itself, or at the primary one.

    Pending and switched-off people get none. The queries are the same whoever is found.
    """
    key = users.login_key(login)
    account = users.find(login)
    user = account if isinstance(account, User) and account.is_active else None
    wanted = key if "@" in key else emails.key(user.email) if user else ""
    # To the address as it is stored, never as it was typed (CVE-2019-19844).
    row = Address.objects.filter(user=user, key=wanted).first()
    return Recipient(key, user, row.address) if user and row else Recipient(key)


def recipient_for(
    purpose: Purpose,
    login: str,
    client: ClientInfo,
    complete: Callable[[Recipient], Recipient] = lambda found: found,
) -> Recipient:
    """Spend what a mail to whoever has ``login`` costs; return who that is, or nobody.

    ``complete`` may replace the recipient that was found. The address is empty if the
    mailbox has had enough mails.

    Raises:
        Later: whoever asks has asked too often.
    """
    again, charges = _charges(purpose, login, client)
    # Without a cookie, limits come before any lookup, so that a flood is refused by one statement.
    if not client.known:
        spend(again, *charges)
    found = complete(recipient_of(login))
    browser = known_browsers.find(client, found.user)
    if browser:
        charges = [(MAIL_BROWSER, browser.user_id, browser.pk)]
    if client.known:
        spend(again, *charges)
    box = emails.key(found.address) if found.address else found.key
    if browser is None and not mail_limits.may_leave(box, client):
        return replace(found, address="")
    return found


def _charges(purpose: Purpose, login: str, client: ClientInfo) -> tuple[Charge, list[Charge]]:
    """Return what asking costs in any browser, and what else it costs in an unknown browser.

    Counted by what was typed: a budget of the account would tell which of its names and addresses
    belong together.
    """
    key = users.login_key(login)
    # By browser, so that neighbours do not make each other wait.
    again = MAIL_AGAIN, purpose.name, key, client.known or client.network
    network = around(RECOVERY_NETWORK, client)
    return again, [*network, mail_limits.asking(key, client), (RECOVERY_EVERYONE,)]


def charges_of_asking(purpose: Purpose, login: str, client: ClientInfo) -> list[Charge]:
    """Return what asking for a mail costs in an unknown browser. No account is looked up."""
    again, charges = _charges(purpose, login, client)
    return [again, *charges]


def send_code(login: str, nonce: str, client: ClientInfo) -> None:
    """Mail a code to whoever has that name or address, for the browser with that nonce."""
    recipient = recipient_for(CODE, login, client, _unlocked)
    with transaction.atomic():
        code = codes.issue_code(CODE, recipient.subject(nonce))
        with speaking(recipient.language):
            post(mails.code(recipient.address, code, client.device), life=CODE.life)


def prove_code(login: str, nonce: str, typed: str, client: ClientInfo) -> tuple[User, Proof]:
    """Return the user whose code ``typed`` is, and the proof of the mailbox; spend the code.

    Raises:
        codes.UsedUp: the code has had all its tries.
        WrongCode: no such code, or used, expired, or made before a change of the account.
        Later: too many guesses.
    """
    charges = around(CODE_NETWORK, client)
    if not client.known:
        spend(*charges)
    recipient = _unlocked(recipient_of(login))
    browser = known_browsers.find(client, recipient.user)
    if browser:
        charges = [(CODE_BROWSER, browser.user_id, browser.pk)]
    if client.known:
        spend(*charges)
    subject = recipient.subject(nonce)
    error: type[PublicError] = WrongCode
    try:
        is_right = codes.try_code(CODE, subject, typed) and codes.spend(CODE, subject, typed)
    except codes.UsedUp:
        is_right, error = False, codes.UsedUp
    if not is_right or recipient.user is None:
        record(recipient.user, events.SIGN_IN_FAILED, Actor(client))
        raise error
    give_back(*charges)
    email = emails.key(recipient.address)
    if browser is None:
        mail_limits.undo(email, client, recipient.key)
    return recipient.user, Proof.now(Method.MAIL, email)


def _unlocked(recipient: Recipient) -> Recipient:
    """Return ``recipient``, or nobody if locked: a code must not replace the new password."""
    is_locked = recipient.user is not None and recipient.user.is_locked_down
    return Recipient(recipient.key) if is_locked else recipient


def seconds_to_next_mail(login: str, client: ClientInfo) -> int:
    """Return the seconds until :func:`send_code` may be called again; 0 for now."""
    return wait(_charges(CODE, login, client)[0])
