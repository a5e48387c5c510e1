"""From a sign-up to a user, an act a transaction; taken addresses look and cost like free ones."""

import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import Purpose, WrongCode
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.languages import speaking, spoken
from accounts.mail.services import Queue, post
from accounts.passwords import services as passwords
from accounts.signup import mails
from accounts.signup.errors import SignupEnded
from accounts.throttle import mails as mail_limits
from accounts.throttle.limits import (
    CODE_NETWORK,
    MAIL_AGAIN,
    RECOVERY_NETWORK,
    SIGNUP_EVERYONE,
    SIGNUP_NETWORK,
    VERIFY_ADDRESS,
    VERIFY_LINE,
)
from accounts.throttle.services import Charge, around, give_back, spend, wait
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.models import EmailAddress, PendingSignup, User

LIFE = timedelta(days=3)
# Of the sign-ups that wait for one address, so many are mailed again at once.
MOST_AT_ONE = 3
CODE = Purpose("signup.code")
LINK = Purpose("signup.link", life=LIFE)


def sign_up(
    username: str,
    email: str,
    password: str | None,
    *,
    client: ClientInfo,
    next_url: str = "",
    instead_of: str | None = None,
) -> PendingSignup:
    """A pending sign-up, and a mail to its address. Without a password a passkey is added later.

    ``username`` and ``email`` are clean. ``instead_of`` is this browser's earlier sign-up, whose
    name it may take over. ``UsernameTaken``; ``Later`` when a budget is used up or all slots are.
    """
    key = emails.key(email)
    network = around(SIGNUP_NETWORK, client)
    spend(*network, mail_limits.asking(key, client), (SIGNUP_EVERYONE,))
    may_leave = mail_limits.may_leave(key, client)
    signup = PendingSignup(
        username=username,
        username_key=usernames.key(username),
        email=email,
        email_key=key,
        password=passwords.hash_password(password) if password else make_password(None),
        next=next_url,
        expires_at=clock.now() + LIFE,
    )
    spend((MAIL_AGAIN, signup.pk))
    try:
        _begin(signup, instead_of, may_leave=may_leave)
    except users.UsernameTaken:
        # No mail was sent: asking for taken names must not use up a stranger's mailbox. What was
        # asked for comes back in either case: the next refusal would tell who else has mailed it.
        if may_leave:
            mail_limits.undo(key, client, key)
        else:
            give_back(mail_limits.asking(key, client))
        raise
    return signup


@transaction.atomic
def _begin(signup: PendingSignup, instead_of: str | None, *, may_leave: bool) -> None:
    if instead_of:
        same_name = PendingSignup.objects.filter(username_key=signup.username_key)
        users.end_pending(same_name.filter(pk=instead_of))
    users.hold_name(signup.username, until=signup.expires_at)
    signup.save(force_insert=True)
    _post(signup, *_issue(signup), may_leave=may_leave)


def find(signup_id: str | uuid.UUID | None) -> PendingSignup | None:
    """The sign-up of that id, if it still waits."""
    waiting = PendingSignup.objects.filter(expires_at__gt=clock.now())
    return waiting.filter(pk=signup_id).first() if signup_id else None


def find_by_link(token: str) -> PendingSignup | None:
    """The sign-up that a link is for, if it still waits."""
    return find(codes.subject_of(LINK, token))


def seconds_to_next_mail(signup: PendingSignup) -> int:
    """Return the seconds until :func:`send_again` may be called; 0 for now."""
    return wait((MAIL_AGAIN, signup.pk))


def send_again(signup: PendingSignup, *, client: ClientInfo) -> None:
    """Another mail, whose code and link replace the earlier; ``Later`` within a minute of one.

    :class:`SignupEnded` if it doesn't wait any more, or for another address.
    """
    spend((MAIL_AGAIN, signup.pk), mail_limits.asking(signup.email_key, client))
    _issue_again(signup, may_leave=mail_limits.may_leave(signup.email_key, client))


def send_again_to(email: str, *, client: ClientInfo, username: str = "") -> None:
    """Another mail to ``email`` for what waits for it, if anything does; or for one sign-up.

    What is answered, and what it costs, tells nobody whether one waits.

    Raises:
        Later: whoever asks has asked too often.
    """
    key = emails.key(email)
    again = MAIL_AGAIN, CODE.name, key, client.network
    spend(again, *around(RECOVERY_NETWORK, client), mail_limits.asking(key, client))
    waiting = PendingSignup.objects.filter(email_key=key, expires_at__gt=clock.now())
    if username:
        waiting = waiting.filter(username_key=usernames.key(username))
    # Not only the newest: whoever signs up with another's address would be the one that is mailed.
    # For nobody, who has no address, the work is the same.
    for signup in list(waiting.order_by("-expires_at")[:MOST_AT_ONE]) or [PendingSignup()]:
        with suppress(SignupEnded):
            _issue_again(signup, may_leave=mail_limits.may_leave(key, client))


def correct_email(signup: PendingSignup, email: str, *, client: ClientInfo) -> None:
    """Another address for the same sign-up; what was mailed to the first is no longer good.

    :class:`SignupEnded` if it doesn't wait any more.
    """
    key = emails.key(email)
    again = [(MAIL_AGAIN, signup.pk)] if key == signup.email_key else []
    network = around(SIGNUP_NETWORK, client)
    spend(*network, *again, mail_limits.asking(key, client), (SIGNUP_EVERYONE,))
    may_leave = mail_limits.may_leave(key, client)
    signup.email, signup.email_key = email, key
    with transaction.atomic():
        code, token = _issue(signup)
        _held(signup)
        signup.save(update_fields=["email", "email_key"])
        _post(signup, code, token, may_leave=may_leave)


def confirm_by_code(signup: PendingSignup, typed: str, client: ClientInfo) -> User:
    """Return the user that ``signup`` becomes.

    Raises:
        WrongCode: not the code that was mailed, or the name or address is taken by now.
        codes.UsedUp: the code has had all its tries.
    """
    charges = around(CODE_NETWORK, client)
    spend(*charges)
    if not codes.try_code(CODE, signup.pk, typed):
        raise WrongCode
    user = _become_user(signup, CODE, typed, client)
    give_back(*charges)
    return user


def confirm_by_email(email: str, typed: str, client: ClientInfo, *, username: str = "") -> User:
    """Return the user that a sign-up becomes whose code was mailed to ``email``.

    With ``username`` it is that sign-up or none: somebody else may have asked for the same address,
    and be waiting for its owner to type the wrong code (CVE-2026-53516).

    Raises:
        WrongCode: no sign-up has that code, or the name or address is taken by now.
        Later: too many wrong codes from this network, or at this address.
    """
    key = emails.key(email)
    mine = around(CODE_NETWORK, client)
    charges: list[Charge] = [*mine, (VERIFY_LINE, key, client.wide_network), (VERIFY_ADDRESS, key)]
    spend(*charges)
    subjects = codes.subjects_of(CODE, key, typed)
    signup = find(subjects[0]) if subjects else None
    if signup is None or (username and signup.username_key != usernames.key(username)):
        raise WrongCode
    user = _become_user(signup, CODE, typed, client)
    give_back(*charges)
    return user


def confirm_by_link(signup: PendingSignup, token: str, client: ClientInfo) -> User:
    """The user that ``signup`` becomes; :class:`WrongCode`."""
    return _become_user(signup, LINK, token, client)


def prune() -> int:
    """End sign-ups that were not confirmed in time; how many."""
    return users.end_pending(PendingSignup.objects.filter(expires_at__lte=clock.now()))


@transaction.atomic
def _issue_again(signup: PendingSignup, *, may_leave: bool) -> None:
    # What was mailed before stays good if no mail can replace it: strangers may have used up what
    # the mailbox gets. The work is the same.
    code, token = _issue(signup if may_leave else PendingSignup(email_key=signup.email_key))
    held = _waiting(signup)
    if signup.email and (held is None or held.email_key != signup.email_key):
        # Corrected meanwhile, which sent a mail of its own: this code would prove the former.
        raise SignupEnded
    _post(signup, code, token, may_leave=may_leave)


def _held(signup: PendingSignup) -> PendingSignup:
    """The row as it is now, held until the transaction ends.

    Taken after its codes, as a confirmation does: in the other order the two would wait for each
    other.
    """
    row = _waiting(signup)
    if row is None:
        raise SignupEnded
    return row


def _waiting(signup: PendingSignup) -> PendingSignup | None:
    waiting = PendingSignup.objects.select_for_update().filter(expires_at__gt=clock.now())
    return waiting.filter(pk=signup.pk).first()


def _become_user(signup: PendingSignup, purpose: Purpose, secret: str, client: ClientInfo) -> User:
    """Spend the secret and make the user, or neither. The first to confirm an address has it."""
    try:
        with transaction.atomic():
            if not codes.spend(purpose, signup.pk, secret, signup.email_key):
                raise WrongCode
            user = users.create_user(
                signup.username, signup.password, id=signup.pk, language=spoken()
            )
            # Before the name: whoever waits for the same address holds nothing that others want.
            users.confirm_email(user, signup.email)
            users.keep_name(signup)
            record(user, events.SIGNED_UP, Actor(client))
    except (users.EmailTaken, users.UsernameTaken):
        raise WrongCode from None
    mail_limits.undo(signup.email_key, client, signup.email_key)
    return user


def _issue(signup: PendingSignup) -> tuple[str, str]:
    """A code and a link that prove the address of ``signup``."""
    code = codes.issue_code(CODE, signup.pk, signup.email_key)
    return code, codes.issue_link(LINK, signup.pk, signup.email_key)


def _post(signup: PendingSignup, code: str, token: str, *, may_leave: bool) -> None:
    """Mail ``code`` and ``token``; an account that has the address gets a notice instead.

    Both are issued in either case, so that the work is the same; the notice holds neither. Unless
    the mail ``may_leave``, it is addressed to nobody.
    """
    owners = EmailAddress.objects.select_related("user").filter(key=signup.email_key).first()
    with speaking(owners.user.language if owners else spoken()):
        # To the owner's address as it is stored, never as a stranger typed it (CVE-2019-19844).
        mail = mails.already_taken(owners.email) if owners else mails.confirm(signup, code, token)
        post(mail if may_leave else replace(mail, to=""), life=LIFE, queue=Queue.STRANGERS)
