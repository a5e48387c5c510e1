"""Creates and changes pending sign-ups; ``signup.confirmation`` confirms them.

The response and its timing are the same whether or not an account has the email address.
"""

import uuid
from contextlib import suppress
from datetime import timedelta
from functools import partial

from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.mail.services import post_to_mailbox
from accounts.passwords import services as passwords
from accounts.signup import mails
from accounts.signup.errors import SignupEnded
from accounts.throttle import mails as mail_limits
from accounts.throttle.limits import MAIL_AGAIN, REQUEST_NETWORK
from accounts.throttle.services import around, give_back, of_sign_up, spend, wait
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.models import PendingSignup

LIFE = timedelta(days=3)
# How many sign-ups with the same email address get a new code from one request.
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
    line: str = "",
) -> PendingSignup:
    """Create a pending sign-up, and email a code and a link to its email address.

    ``username``, ``email``: must be validated. ``password``: None if the user will add a passkey.
    ``instead_of``: the id of an earlier sign-up to delete if it has the same username.
    ``line``: the ``wide_network`` of an API client, which may use all attempts to enter the code.

    Raises:
        UsernameTaken: the username is taken, or looks like one that is taken.
        RateLimited: there were too many attempts, or all hashing slots are busy.
    """
    key = emails.key(email)
    spend(*of_sign_up(client), mail_limits.of_request(key, client))
    may_send = mail_limits.may_send(key, client)
    signup = PendingSignup(
        username=username,
        username_key=usernames.key(username),
        email=email,
        email_key=key,
        password=passwords.hash_password(password) if password else make_password(None),
        next=next_url,
        line=line,
        expires_at=clock.now() + LIFE,
    )
    spend(MAIL_AGAIN.of(signup.pk))
    try:
        _begin(signup, instead_of, may_send=may_send)
    except users.UsernameTaken:
        _undo_mail(key, client, may_send=may_send)
        raise
    return signup


def _undo_mail(key: str, client: ClientInfo, *, may_send: bool) -> None:
    # No email was sent, so trying taken usernames must not use up the budget of the mailbox.
    # Given back in both cases, or a refusal would reveal that others caused emails to this mailbox.
    if may_send:
        mail_limits.refund(key, client, key)
    else:
        give_back(mail_limits.of_request(key, client))


@transaction.atomic
def _begin(signup: PendingSignup, instead_of: str | None, *, may_send: bool) -> None:
    if instead_of:
        same_name = PendingSignup.objects.filter(username_key=signup.username_key)
        users.delete_signups(same_name.filter(pk=instead_of))
    users.take_username(signup.username, until=signup.expires_at)
    signup.save(force_insert=True)
    _post(signup, *_issue(signup, is_sent=may_send), may_send=may_send)


def find(signup_id: str | uuid.UUID | None) -> PendingSignup | None:
    """Return the pending sign-up with this id, or None if it is unknown or has expired."""
    waiting = PendingSignup.objects.filter(expires_at__gt=clock.now())
    return waiting.filter(pk=signup_id).first() if signup_id else None


def find_by_link(token: str) -> PendingSignup | None:
    """Return the pending sign-up that the emailed link with ``token`` confirms, or None."""
    return find(codes.subject_of(LINK, token))


def seconds_to_next_mail(signup: PendingSignup) -> int:
    """Return the seconds until :func:`send_again` may be called; 0 means now."""
    return wait(MAIL_AGAIN.of(signup.pk))


def send_again(signup: PendingSignup, *, client: ClientInfo | None) -> None:
    """Email a new code and link for ``signup``, which replace the earlier ones.

    ``client``: None for staff, to whom the limits on emails that strangers cause do not apply.

    Raises:
        SignupEnded: the sign-up is no longer pending, or its email address was changed meanwhile.
        RateLimited: the last email was sent less than a minute ago, or too many were requested.
    """
    key = signup.email_key
    spend(MAIL_AGAIN.of(signup.pk), *([mail_limits.of_request(key, client)] if client else []))
    _issue_again(signup, may_send=client is None or mail_limits.may_send(key, client))


def send_again_to(email: str, *, client: ClientInfo, username: str = "") -> None:
    """Email new codes for the pending sign-ups with this email address.

    Neither the result nor the time that it takes reveals whether there is such a sign-up.

    ``username``: if set, only the sign-up with this username gets a new code.

    Raises:
        RateLimited: the client has requested too many emails.
    """
    key = emails.key(email)
    again = MAIL_AGAIN.of(CODE.name, key, client.network)
    spend(again, *around(REQUEST_NETWORK, client), mail_limits.of_request(key, client))
    waiting = PendingSignup.objects.filter(email_key=key, expires_at__gt=clock.now())
    if username:
        waiting = waiting.filter(username_key=usernames.key(username))
    # Not only the newest sign-up: if a stranger signed up later with the same email address, its
    # owner would get no new code. Without a sign-up, an empty one costs the same work.
    for signup in list(waiting.order_by("-expires_at")[:MOST_AT_ONE]) or [PendingSignup()]:
        with suppress(SignupEnded):
            _issue_again(signup, may_send=mail_limits.may_send(key, client))


def correct_email(signup: PendingSignup, email: str, *, client: ClientInfo) -> None:
    """Replace the email address of a pending sign-up, and email a new code and link.

    Earlier codes and links stop working.

    Raises:
        SignupEnded: the sign-up is no longer pending.
        RateLimited: there were too many attempts.
    """
    key = emails.key(email)
    again = [MAIL_AGAIN.of(signup.pk)] if key == signup.email_key else []
    spend(*of_sign_up(client), *again, mail_limits.of_request(key, client))
    may_send = mail_limits.may_send(key, client)
    signup.email, signup.email_key = email, key
    with transaction.atomic():
        code, token = _issue(signup, is_sent=may_send)
        # Locked after the codes are written, to avoid a deadlock.
        if _waiting(signup) is None:
            raise SignupEnded
        signup.save(update_fields=["email", "email_key"])
        _post(signup, code, token, may_send=may_send)


def prune() -> int:
    """Delete sign-ups that were not confirmed in time; return how many were deleted."""
    return users.delete_signups(PendingSignup.objects.filter(expires_at__lte=clock.now()))


@transaction.atomic
def _issue_again(signup: PendingSignup, *, may_send: bool) -> None:
    # If no email may be sent, the earlier code and link stay valid, because strangers may have used
    # up the budget of the mailbox. The codes of an empty sign-up cost the same work.
    code, token = _issue(signup if may_send else PendingSignup(email_key=signup.email_key))
    held = _waiting(signup)
    if signup.email and (held is None or held.email_key != signup.email_key):
        # The email address was corrected meanwhile, and this code would confirm the former one.
        raise SignupEnded
    _post(signup, code, token, may_send=may_send)


def _waiting(signup: PendingSignup) -> PendingSignup | None:
    """Lock the row of ``signup`` and return it, or None if the sign-up is no longer pending."""
    waiting = PendingSignup.objects.select_for_update().filter(expires_at__gt=clock.now())
    return waiting.filter(pk=signup.pk).first()


def _issue(signup: PendingSignup, *, is_sent: bool = True) -> tuple[str, str]:
    """Return a new code and a new link token to confirm the email address of ``signup``."""
    code = codes.issue_code(CODE, signup.pk, signup.email_key, is_sent=is_sent)
    return code, codes.issue_link(LINK, signup.pk, signup.email_key)


def _post(signup: PendingSignup, code: str, token: str, *, may_send: bool) -> None:
    """Email ``code`` and ``token``, or a notice if an account has the email address.

    The notice does not contain the code and the token. They are issued nevertheless, so that the
    work is the same. If ``may_send`` is False, the email has no recipient and is not sent.
    """
    confirm = partial(mails.confirm, signup, code, token)
    key, taken = signup.email_key, mails.already_taken
    post_to_mailbox(key, confirm, taken, life=LIFE, is_sent=may_send)
