"""Confirms pending sign-ups, which creates their users.

The response and its timing are the same whether or not an account has the email address.
"""

from django.db import transaction

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import Purpose, WrongCode
from accounts.common.client_info import ClientInfo
from accounts.common.languages import spoken
from accounts.invitations import services as invitations
from accounts.signup.services import CODE, LINK, find
from accounts.throttle import mails as mail_limits
from accounts.throttle.limits import CODE_GUESS
from accounts.throttle.services import around, give_back, spend
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.models import PendingSignup, User


def confirm_by_code(signup: PendingSignup, typed: str, client: ClientInfo) -> User:
    """Create the user of ``signup`` if ``typed`` is its code, and return the user.

    Raises:
        WrongCode: the code is wrong, or the username or email address has been taken meanwhile.
        UsedUp: the code has no attempts left.
        RateLimited: the network of the client has tried too many codes.
    """
    budgets = around(CODE_GUESS, client)
    spend(*budgets)
    if not codes.try_code(CODE, signup.pk, typed):
        raise WrongCode
    user = _become_user(signup, CODE, typed, Actor(client))
    give_back(*budgets)
    return user


def confirm_by_email(email: str, typed: str, client: ClientInfo, *, username: str = "") -> User:
    """Create the user of the sign-up with this email address and code, and return the user.

    ``username``: if set, the sign-up must have this username. Otherwise, the owner of the email
        address could be tricked into confirming the sign-up of a stranger (CVE-2026-53516).

    Raises:
        WrongCode: no sign-up has this code, or its username or email address is now taken.
        RateLimited: the network of the client has tried too many codes.
    """
    key, budgets = emails.key(email), around(CODE_GUESS, client)
    spend(*budgets)
    own = PendingSignup.objects.filter(email_key=key, line=client.wide_network)
    subjects = codes.try_codes(CODE, key, typed, own=[str(row.pk) for row in own])
    signup = find(subjects[0]) if subjects else None
    if signup is None or (username and signup.username_key != usernames.key(username)):
        raise WrongCode
    user = _become_user(signup, CODE, typed, Actor(client))
    give_back(*budgets)
    return user


def confirm_by_link(signup: PendingSignup, token: str, client: ClientInfo) -> User:
    """Create the user of ``signup`` if ``token`` is from its link, and return the user.

    Raises:
        WrongCode: the link was used, or the username or email address has been taken meanwhile.
    """
    return _become_user(signup, LINK, token, Actor(client))


def confirm_by_staff(signup: PendingSignup, actor: Actor) -> User:
    """Create the user of ``signup`` without a code, for ``actor``, a member of staff.

    The user accepts no invitation, because nobody has shown that they read the mailbox: staff could
    otherwise sign up with an address that is invited to more rights than their own.

    Raises:
        WrongCode: the sign-up has ended, or its username or email address has been taken meanwhile.
    """
    token = codes.issue_link(LINK, signup.pk, signup.email_key)
    return _become_user(signup, LINK, token, actor)


def _become_user(signup: PendingSignup, purpose: Purpose, secret: str, actor: Actor) -> User:
    """Use up ``secret`` and create the user in one transaction, or raise ``WrongCode``."""
    try:
        with transaction.atomic():
            if not codes.spend(purpose, signup.pk, secret, signup.email_key):
                raise WrongCode
            user = users.create_user(
                signup.username,
                signup.password,
                id=signup.pk,
                language="" if actor.name else spoken(),
            )
            # Before the username: while a transaction waits for the same email address, it must not
            # hold a row that others wait for.
            users.confirm_email(user, signup.email)
            users.keep_username(signup)
            record(user, events.SIGNED_UP, actor)
            if not actor.name:
                invitations.accept(user, signup.email)
    except (users.EmailTaken, users.UsernameTaken):
        raise WrongCode from None
    if actor.client and not actor.name:
        mail_limits.refund(signup.email_key, actor.client, signup.email_key)
    return user
