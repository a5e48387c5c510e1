"""Creates, changes and confirms pending sign-ups.

The response and its timing are the same whether or not an account has the email address.
"""

import uuid
from contextlib import suppress
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.hashers import is_password_usable, make_password
from django.db import transaction
from django.db.models import Case, When
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.calls import services as calls
from accounts.codes import services as codes
from accounts.codes.services import LinkEnded, Purpose, WrongCode
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.localization import spoken
from accounts.common.pages import absolute
from accounts.common.proofs import Method, Proof
from accounts.common.text import written_code
from accounts.invitations import services as invitations
from accounts.mail.message import Message
from accounts.mail.services import post_to_mailbox
from accounts.passwords import services as passwords
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.terms import services as terms
from accounts.throttle import services as throttle
from accounts.throttle.limits import CODE_GUESS, MAIL_AGAIN, REQUEST_NETWORK
from accounts.throttle.services import around, give_back, hit, of_sign_up, wait
from accounts.twofactor import services as twofactor
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.models import PendingSignup, User


def confirm_message(signup: PendingSignup, code: str, token: str) -> Message:
    """Return the email with a code and a link that confirm an address which no account has."""
    about = {"email": signup.email, "site": settings.AUTHSITE.site_name}
    hello = gettext("Hello %(name)s,") % {"name": signup.username}
    closing = gettext("Didn’t sign up? You don’t need to do anything. We won’t create an account.")
    return Message(
        to=signup.email,
        # Email clients turn names with a dot into links, and a stranger may have chosen this name.
        greeting="" if "." in signup.username else hello,
        subject=gettext("%(code)s is your code for %(site)s")
        % {"code": written_code(code), **about},
        heading=gettext("Confirm your email address"),
        paragraphs=[gettext("Enter this code on the page where you signed up:")],
        code=written_code(code),
        facts=[(gettext("Valid for"), gettext("10 minutes"))],
        questions=[
            (gettext("Closed that page?"), gettext("Use this link instead. It works for 3 days.")),
        ],
        action_label=gettext("Confirm my email address"),
        action_url=absolute("signup_confirm_link", token),
        closing=[closing],
        reason=gettext("Sent to %(email)s because someone signed up at %(site)s with this address.")
        % about,
    )


def already_taken_message(owners_email: str) -> Message:
    """Return the email that tells an account's owner that somebody signed up with its address."""
    about = {"email": owners_email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=owners_email,
        subject=gettext("You already have an account at %(site)s") % about,
        paragraphs=[gettext("Someone tried to create a new account with this email address.")],
        questions=[
            (gettext("Was this you?"), gettext("You already have an account. Sign in instead."))
        ],
        action_label=gettext("Sign in"),
        action_url=absolute("account_login"),
        closing=[gettext("Not you? You don’t need to do anything. We didn’t create an account.")],
        reason=gettext("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )


class SignupEnded(PublicError):
    """The sign-up was confirmed, changed or deleted meanwhile, or has expired."""

    code = "signup_ended"
    message = _("This sign-up has ended.")


LIFE = timedelta(days=3)
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
    wide_network: str = "",
    terms_version: str = "",
) -> PendingSignup:
    """Create a pending sign-up, and email a code and a link to its email address.

    ``username``, ``email``: must be validated. ``password``: None if the user will add a passkey.
    ``instead_of``: the id of an earlier sign-up to delete if it has the same username.
    ``wide_network``: the network of the API client, from which the code can be tried.
    ``terms_version``: the version of the terms that the person accepts; empty without terms.

    Raises:
        UsernameTaken: the username is taken, or looks like one that is taken.
        RateLimited: there were too many attempts, or all hashing slots are busy.
    """
    key = emails.key(email)
    hit(*of_sign_up(client), throttle.of_request(key, client))
    signup = PendingSignup(
        username=username,
        username_key=usernames.key(username),
        email=email,
        email_key=key,
        password=passwords.hash_password(password) if password else make_password(None),
        next=next_url,
        wide_network=wide_network,
        terms_version=terms_version,
        expires_at=clock.now() + LIFE,
    )
    _begin_and_mail(signup, instead_of, client)
    return signup


def _begin_and_mail(signup: PendingSignup, instead_of: str | None, client: ClientInfo) -> None:
    key = signup.email_key
    may_send = throttle.may_send(key, client)
    hit(MAIL_AGAIN.of(signup.pk))
    try:
        _begin(signup, instead_of, may_send=may_send)
    except users.UsernameTaken:
        _undo_mail(key, client, may_send=may_send)
        raise


def _undo_mail(key: str, client: ClientInfo, *, may_send: bool) -> None:
    # No email was sent, so trying taken usernames must not use up the limit of the mailbox. The
    # count is undone whether or not an email was allowed, because a refusal would reveal that
    # others caused emails to this mailbox.
    if may_send:
        throttle.refund(key, client, key)
    else:
        give_back(throttle.of_request(key, client))


@transaction.atomic
def _begin(signup: PendingSignup, instead_of: str | None, *, may_send: bool) -> None:
    if instead_of:
        same_name = PendingSignup.objects.filter(username_key=signup.username_key)
        users.delete_signups(same_name.filter(pk=instead_of))
    users.take_username(signup.username, until=signup.expires_at)
    signup.save(force_insert=True)
    calls.created(signup.pk, owner=signup.pk)
    _post(signup, *_issue(signup, is_sent=may_send), may_send=may_send)


def find_signup(signup_id: str | uuid.UUID | None) -> PendingSignup | None:
    """Return the pending sign-up with this id, or None if it is unknown or has expired."""
    waiting = PendingSignup.objects.filter(expires_at__gt=clock.now())
    return waiting.filter(pk=signup_id).first() if signup_id else None


def find_signup_by_link(token: str) -> PendingSignup | None:
    """Return the pending sign-up whose link contains ``token``, or None."""
    return find_signup(codes.subject_of(LINK, token))


def seconds_to_next_mail(signup: PendingSignup) -> int:
    """Return the number of seconds until :func:`send_again` may be called; 0 means now."""
    return wait(MAIL_AGAIN.of(signup.pk))


def send_again(signup: PendingSignup, *, client: ClientInfo | None) -> None:
    """Email a new code and link for ``signup``, which replace the earlier ones.

    ``client``: None for staff, to whom the limits on emails that strangers cause do not apply.

    Raises:
        SignupEnded: the sign-up is no longer pending, or its email address was changed meanwhile.
        RateLimited: the last email was sent less than a minute ago, or too many were requested.
    """
    key = signup.email_key
    hit(MAIL_AGAIN.of(signup.pk), *([throttle.of_request(key, client)] if client else []))
    _issue_again(signup, may_send=client is None or throttle.may_send(key, client))


def send_again_to(email: str, *, client: ClientInfo, username: str = "") -> None:
    """Email a new code for the pending sign-up with this email address.

    Neither the result nor the time that it takes reveals whether there is such a sign-up, or how
    many there are.

    ``username``: the username of the sign-up. If it is empty, the newest sign-up from the client's
        network gets the code, or else the newest of all, because a stranger may have signed up
        later.

    Raises:
        RateLimited: the client has requested too many emails.
    """
    key = emails.key(email)
    again = MAIL_AGAIN.of(CODE.name, key, client.network)
    hit(again, *around(REQUEST_NETWORK, client), throttle.of_request(key, client))
    waiting = PendingSignup.objects.filter(email_key=key, expires_at__gt=clock.now())
    if username:
        waiting = waiting.filter(username_key=usernames.key(username))
    is_own = Case(When(wide_network=client.wide_network, then=0), default=1)
    # If there is no sign-up, an empty one costs the same work.
    signup = waiting.order_by(is_own, "-expires_at").first() or PendingSignup()
    with suppress(SignupEnded):
        _issue_again(signup, may_send=throttle.may_send(key, client))


def correct_email(signup: PendingSignup, email: str, *, client: ClientInfo) -> None:
    """Replace the email address of a pending sign-up, and email a new code and link.

    Earlier codes and links stop working.

    Raises:
        SignupEnded: the sign-up is no longer pending.
        RateLimited: there were too many attempts.
    """
    key = emails.key(email)
    again = [MAIL_AGAIN.of(signup.pk)] if key == signup.email_key else []
    hit(*of_sign_up(client), *again, throttle.of_request(key, client))
    may_send = throttle.may_send(key, client)
    signup.email, signup.email_key = email, key
    with transaction.atomic():
        code, token = _issue(signup, is_sent=may_send)
        # The row is locked after the codes are written, to avoid a deadlock.
        if _waiting(signup) is None:
            raise SignupEnded
        signup.save(update_fields=["email", "email_key"])
        _post(signup, code, token, may_send=may_send)


def correct_email_by_password(
    username: str, password: str, email: str, *, client: ClientInfo
) -> None:
    """Replace the email address of the pending sign-up that has this username and password.

    A guess at the password counts against the same rate limits as a guess at a sign-in.

    Raises:
        InvalidCredentials: no pending sign-up has this username and password.
        SignupEnded: the sign-up was confirmed at this moment.
        RateLimited: there were too many attempts, or the site is busy.
    """
    is_pending = isinstance(users.find_by_login(username), PendingSignup)
    # The password of an account is not tried here, because its owner would not be notified of a
    # right guess.
    signup = verify_password(username, password if is_pending else "", client).account
    if not isinstance(signup, PendingSignup):
        raise SignupEnded
    correct_email(signup, email, client=client)


def correct_email_by_id(signup_id: uuid.UUID, email: str, *, client: ClientInfo) -> None:
    """Replace the email address of the pending sign-up with this id, which has no password.

    Only the client that has signed up knows the id.

    Raises:
        SignupEnded: no pending sign-up without a password has this id.
        RateLimited: there were too many attempts.
    """
    signup = find_signup(signup_id)
    if signup is None or has_password(signup):
        raise SignupEnded
    correct_email(signup, email, client=client)


def prune() -> int:
    """Delete sign-ups that were not confirmed in time; return how many were deleted."""
    return users.delete_signups(PendingSignup.objects.filter(expires_at__lte=clock.now()))


@transaction.atomic
def _issue_again(signup: PendingSignup, *, may_send: bool) -> None:
    # If no email may be sent, because strangers may have used up the limit of the mailbox, the
    # earlier code and link stay valid. The codes of an empty sign-up cost the same work.
    code, token = _issue(signup if may_send else PendingSignup(email_key=signup.email_key))
    held = _waiting(signup)
    if signup.email and (held is None or held.email_key != signup.email_key):
        # The email address was corrected meanwhile, and this code would confirm the former address.
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

    The notice does not contain the code and the token, which are issued only to do the same work.
    If ``may_send`` is False, the email has no recipient and is not sent.
    """
    confirm = partial(confirm_message, signup, code, token)
    key, taken = signup.email_key, already_taken_message
    post_to_mailbox(key, confirm, taken, life=LIFE, is_sent=may_send)


def has_password(signup: PendingSignup) -> bool:
    """Return whether the sign-up has a password.

    Without a password, the emailed link works only in the browser that signed up.
    """
    return is_password_usable(signup.password)


def proof_of_browser(signup: PendingSignup) -> Proof:
    """Return the proof of the password for the browser in which it was typed at the sign-up.

    The time of the proof is the start of the sign-up, because the password was not typed earlier.
    """
    return Proof(Method.PASSWORD, signup.expires_at - LIFE)


def proof_of_password(signup: PendingSignup, password: str, client: ClientInfo) -> Proof:
    """Return a proof if ``password`` is the password that was chosen at the sign-up.

    Call this if the emailed link was opened in a browser that did not sign up. A guess counts
    against the same rate limits as a guess on the sign-in page.

    Raises:
        InvalidCredentials: the password is wrong, or the sign-up has no password.
        RateLimited: there were too many guesses, or the site is busy.
    """
    account = verify_password(signup.username, password, client).account
    if account.pk != signup.pk:
        raise InvalidCredentials
    return Proof.now(Method.PASSWORD)


def proofs_of(signup: PendingSignup, password: Proof) -> tuple[Proof, ...]:
    """Return the proofs of the first sign-in, after ``signup`` was confirmed.

    The emailed code or link proves access to the mailbox. ``password``: the proof of the password,
    which is ignored if the sign-up has no password.
    """
    mailbox = Proof.now(Method.MAIL)
    return (password, mailbox) if has_password(signup) else (mailbox,)


def passkey_page(user: User, next_url: str = "") -> str:
    """Return the page that opens after the first sign-in of ``user``, who has no password.

    It is the page to add a passkey, because until then the mailbox alone gives access to the
    account. If a second factor is required, it is ``next_url``, because the sign-in flow already
    asks for a factor. ``next_url`` also opens after the passkey was added.
    """
    if twofactor.is_required(user):
        return next_url
    query = f"?{urlencode({'next': next_url})}" if next_url else ""
    return reverse("passkey_add") + query


def confirm_by_code(signup: PendingSignup, typed: str, client: ClientInfo) -> User:
    """Create the user of ``signup`` if ``typed`` is its code, and return the user.

    Raises:
        WrongCode: the code is wrong, or the username or email address has been taken meanwhile.
        UsedUp: the code has no attempts left.
        RateLimited: the network of the client has tried too many codes.
    """
    budgets = around(CODE_GUESS, client)
    hit(*budgets)
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
    hit(*budgets)
    own = PendingSignup.objects.filter(email_key=key, wide_network=client.wide_network)
    subjects = codes.try_codes(CODE, key, typed, own=[str(row.pk) for row in own])
    signup = find_signup(subjects[0]) if subjects else None
    if signup is None or (username and signup.username_key != usernames.key(username)):
        raise WrongCode
    user = _become_user(signup, CODE, typed, Actor(client))
    give_back(*budgets)
    return user


def accept_invitation(
    token: str,
    username: str,
    password: str | None,
    client: ClientInfo,
    *,
    terms_version: str = "",
) -> User:
    """Create the account of an invited person, and return the user.

    The link proves that the person reads the mailbox, so the email address counts as confirmed.

    ``username``: must be validated.
    ``password``: must be validated; None if the user will add a passkey after the sign-in.
    ``terms_version``: the version of the terms that the person accepts; empty without terms.

    Raises:
        LinkEnded: the invitation is no longer valid, or an account has got its email address.
        UsernameTaken: the username, or a look-alike, is taken. The link stays valid.
        RateLimited: there were too many attempts, or all hashing slots are busy.
    """
    hit(*of_sign_up(client))
    hashed = passwords.hash_password(password) if password else make_password(None)
    try:
        with transaction.atomic():
            invited = invitations.redeem(token)
            # This comes before the username, because it deletes pending sign-ups that may have the
            # username.
            users.delete_signups_for(invited.email)
            users.take_username(username, until=None)
            user = users.create_user(username, hashed, language=spoken())
            users.confirm_email(user, invited.email)
            record(user, events.SIGNED_UP, Actor(client))
            calls.created(user.pk, owner=user.pk)
            if terms_version:
                terms.accept(user, terms_version, Actor(client))
            invitations.accept(user, invited.email)
    except users.EmailTaken:
        raise LinkEnded from None
    return user


def confirm_by_link(signup: PendingSignup, token: str, client: ClientInfo) -> User:
    """Create the user of ``signup`` if ``token`` is from its link, and return the user.

    Raises:
        WrongCode: the link was used, or the username or email address has been taken meanwhile.
    """
    return _become_user(signup, LINK, token, Actor(client))


def confirm_by_staff(signup: PendingSignup, actor: Actor) -> User:
    """Create the user of ``signup`` without a code, for ``actor``, a member of staff.

    The user accepts no invitation, because access to the mailbox was not proved. Otherwise staff
    could sign up with an address that is invited to more rights than their own.

    Raises:
        WrongCode: the sign-up has ended, or its username or email address has been taken
            meanwhile.
    """
    token = codes.issue_link(LINK, signup.pk, signup.email_key)
    return _become_user(signup, LINK, token, actor)


def _become_user(signup: PendingSignup, purpose: Purpose, secret: str, actor: Actor) -> User:
    """Use up ``secret`` and create the user in one transaction.

    Raises:
        WrongCode: the secret is not valid, or the username or email address has been taken
            meanwhile.
    """
    try:
        with transaction.atomic():
            if not codes.redeem(purpose, signup.pk, secret, signup.email_key):
                raise WrongCode
            user = users.create_user(
                signup.username,
                signup.password,
                id=signup.pk,
                language="" if actor.name else spoken(),
            )
            # This comes before the username: while a transaction waits for the same email address,
            # it must not hold a row that others wait for.
            users.confirm_email(user, signup.email)
            users.keep_username(signup)
            record(user, events.SIGNED_UP, actor)
            if signup.terms_version:
                accepted_at = signup.expires_at - LIFE
                by_person = Actor() if actor.name else actor
                terms.note(user, signup.terms_version, by_person, accepted_at)
            if not actor.name:
                invitations.accept(user, signup.email)
    except (users.EmailTaken, users.UsernameTaken):
        raise WrongCode from None
    if actor.client and not actor.name:
        throttle.refund(signup.email_key, actor.client, signup.email_key)
    return user
