"""Adds, confirms and removes email addresses of users, and makes one of them primary.

Every change first locks the row of the user, so that two changes cannot interleave.

An email address can be used to recover the account. Therefore a change is reported to every address
of the account, including a removed one. For the same reason, a change invalidates links and codes
that were emailed before.
"""

import uuid
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.services import Actor, record
from accounts.calls import services as calls
from accounts.codes import services as codes
from accounts.codes.models import Code
from accounts.codes.services import LinkEnded, Purpose, WrongCode
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import PublicError, TooMany
from accounts.common.localization import speaking
from accounts.common.pages import absolute
from accounts.common.text import row_id, written_code
from accounts.emails.models import PendingEmail
from accounts.mail.message import Message
from accounts.mail.services import Queue, post, post_to_mailbox
from accounts.recovery.rule import BEFORE
from accounts.sessions import known_browsers
from accounts.throttle import services as throttle
from accounts.throttle.limits import MAIL_AGAIN, NAME_TRY
from accounts.throttle.services import give_back, hit, wait
from accounts.users import emails, former_credentials
from accounts.users import services as users
from accounts.users.models import EmailAddress, User


def confirm_message(pending: PendingEmail, code: str, token: str) -> Message:
    """Return the email with a code and a link that confirm an address which no account has."""
    about = {"email": pending.email, "site": settings.AUTHSITE.site_name}
    link = gettext("Sign in, then use the link in this email. The link works for 3 days.")
    return Message(
        to=pending.email,
        subject=gettext("%(code)s is your code for %(site)s")
        % {"code": written_code(code), **about},
        heading=gettext("Confirm your email address"),
        paragraphs=[gettext("Enter this code on the page where you added this address:")],
        code=written_code(code),
        facts=[(gettext("Valid for"), gettext("10 minutes"))],
        questions=[(gettext("Closed that page?"), link)],
        action_label=gettext("Confirm my email address"),
        action_url=absolute("address_confirm", token),
        closing=[
            gettext("Didn’t ask for this? You don’t need to do anything. We won’t add the address.")
        ],
        reason=gettext(
            "Sent to %(email)s because someone added this address to an account at %(site)s."
        )
        % about,
    )


def already_taken_message(owners_email: str) -> Message:
    """Return the email that tells the owner of an address that another user tried to add it."""
    about = {"email": owners_email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=owners_email,
        subject=gettext("Someone tried to add your email address to another account at %(site)s")
        % about,
        paragraphs=[
            gettext("Someone tried to add this email address to another account."),
            gettext("The address still belongs to your account, so you don’t need to do anything."),
        ],
        reason=gettext("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )


def vouched_message(user: User, email: str, token: str) -> Message:
    """Return the email to an address that Support has confirmed, with a link to remove it."""
    about = {"email": email, "site": settings.AUTHSITE.site_name, "username": user.username}
    return Message(
        to=email,
        subject=gettext("Your email address was added to an account at %(site)s") % about,
        paragraphs=[
            gettext(
                "Someone told our team that they own this email address, so we added it to the "
                "account %(username)s. Nobody has checked who owns the address."
            )
            % about
        ],
        questions=[
            (gettext("Is this your account?"), gettext("If so, you don’t need to do anything.")),
            (
                gettext("Not your account?"),
                gettext("Remove your address from that account. You don’t need to sign in."),
            ),
        ],
        action_label=gettext("Remove my address"),
        action_url=absolute("address_refuse", token),
        reason=gettext("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )


LIFE = timedelta(days=3)
REFUSE = Purpose("address.refuse", life=timedelta(days=30))
CODE = Purpose("address.code")
LINK = Purpose("address.link", life=LIFE)
MOST = 10


class EmailChangeRefused(PublicError):
    """The email address no longer exists, or is already the primary one."""

    code = "not_possible"
    message = _("Your email addresses have changed. Check the list again.")


class TooManyEmails(TooMany):
    """The user already has as many email addresses as allowed."""

    message = _("You can’t have any more email addresses. Remove one first.")


class OwnEmail(PublicError):
    """The user already has this email address."""

    code = "own_address"
    message = _("You’ve already added this address.")


def pending(user: User | P, now: datetime | P | None = None) -> QuerySet[PendingEmail]:
    """Return the unconfirmed email addresses of ``user``, oldest first."""
    waiting = PendingEmail.objects.filter(user=user, expires_at__gt=now or clock.now())
    return waiting.order_by("expires_at")


_PENDING = PreparedQuery(lambda: pending(P("user"), P("now")))


def pending_of(user: User) -> list[PendingEmail]:
    """Return the addresses that :func:`pending` returns, with a prepared query."""
    return _PENDING.all(user=user.pk, now=clock.now())


def confirmed(user: User) -> QuerySet[EmailAddress]:
    """Return the confirmed email addresses of ``user``: the primary one, then the oldest first."""
    return user.emails.annotate(is_other=~Q(email=user.email)).order_by("is_other", "confirmed_at")


def find(user: User, email_id: str) -> EmailAddress | None:
    """Return the confirmed email address of ``user`` with this id, which may be any text."""
    return user.emails.filter(pk=row_id(email_id)).first()


def find_pending(user: User, pending_id: str) -> PendingEmail | None:
    """Return the unconfirmed email address of ``user`` with this id, which may be any text."""
    rows = pending(user)
    try:
        return rows.filter(pk=uuid.UUID(pending_id)).first()
    except ValueError:
        return None


def add(user: User, email: str, client: ClientInfo) -> PendingEmail:
    """Store ``email`` as unconfirmed, and email a code and a link to it.

    ``email`` must be validated. The result does not reveal whether another account has ``email``.

    Raises:
        OwnEmail: the user already has this email address.
        TooManyEmails: the user already has as many email addresses as allowed.
        RateLimited: the user has added too many email addresses, or requested too many emails.
    """
    key = emails.key(email)
    if EmailAddress.objects.filter(user=user, key=key).exists():
        raise OwnEmail
    own, of_members = throttle.of_person(user.pk, key)
    hit(MAIL_AGAIN.of(user.pk, key), NAME_TRY.of("email", user.pk), own)
    # If the address is taken, the email is a notice to its owner, which counts as caused by a
    # stranger.
    tells_owner = throttle.may_send(key, client)
    may_send = hit(silent=[of_members]) or tells_owner
    with transaction.atomic():
        users.lock_row(user)
        if user.emails.count() + pending(user).exclude(key=key).count() >= MOST:
            raise TooManyEmails
        earlier = pending(user).filter(key=key).first()
        row = PendingEmail(user=user, email=email, key=key, expires_at=clock.now() + LIFE)
        code = codes.issue_code(CODE, row.pk, key, is_sent=may_send)
        token = _issue_link(row)
        if earlier and not may_send:
            # If no email may be sent, the earlier code and link stay valid, and the same work is
            # done.
            row.pk = earlier.pk
        PendingEmail.objects.filter(user=user, key=key).delete()
        row.save(force_insert=True)
        calls.created(row.pk, owner=user.pk)
        _post(row, code, token, may_send=may_send, tells_owner=tells_owner)
    return row


def _post(
    row: PendingEmail, code: str, token: str, *, may_send: bool, tells_owner: bool = True
) -> None:
    def taken(owners_email: str) -> Message:
        return already_taken_message(owners_email if tells_owner else "")

    confirm = partial(confirm_message, row, code, token)
    post_to_mailbox(row.key, confirm, taken, life=LIFE, queue=Queue.CODES, is_sent=may_send)


@transaction.atomic
def send_again(row: PendingEmail, actor: Actor) -> None:
    """Email a new code and link to the unconfirmed address ``row``, on behalf of staff.

    The code and the link replace the earlier ones. The limits on emails that strangers cause do not
    apply.

    Raises:
        EmailChangeRefused: the email address no longer waits for its confirmation.
        AccountChanged: the account was changed in the meantime.
        RateLimited: the last email was sent less than a minute ago.
    """
    hit(MAIL_AGAIN.of(row.user_id, row.key))
    owner = users.lock_row(row.user)
    if not pending(owner).filter(pk=row.pk).exists():
        raise EmailChangeRefused
    with speaking(owner.language):
        code, token = codes.issue_code(CODE, row.pk, row.key), _issue_link(row)
        _post(row, code, token, may_send=True)
    record(owner, events.CONFIRMATION_SENT, actor, detail=row.email)


def _issue_link(row: PendingEmail) -> str:
    """Return the secret of a new link that confirms ``row`` and replaces the earlier link."""
    return codes.issue_link(LINK, row.pk, row.key)


def seconds_to_next_mail(row: PendingEmail) -> int:
    """Return the number of seconds until another email may be sent to ``row``; 0 means now."""
    return wait(MAIL_AGAIN.of(row.user_id, row.key))


def cancel(user: User, pending_id: str) -> bool:
    """Delete the unconfirmed email address of ``user`` with this id; return whether it existed."""
    row = find_pending(user, pending_id)
    if row:
        discard(PendingEmail.objects.filter(pk=row.pk))
    return row is not None


def discard(rows: QuerySet[PendingEmail]) -> None:
    """Delete unconfirmed email addresses, with their codes and links."""
    subjects = [str(pk) for pk in rows.values_list("pk", flat=True)]
    rows.delete()
    Code.objects.filter(purpose__in=(CODE.name, LINK.name), subject__in=subjects).delete()


def confirm_by_code(
    row: PendingEmail, typed: str, actor: Actor, *, replaces: bool = False
) -> EmailAddress:
    """Add the address ``row`` to the account if ``typed`` is its code; return the new row.

    ``replaces``: whether the address replaces the primary one, which is then removed.

    No limit by network is needed, because a code allows few attempts and a user gets few codes.

    Raises:
        WrongCode: the code is wrong, or another account now has the email address.
        UsedUp: the code has no attempts left.
    """
    if not codes.try_code(CODE, row.pk, typed):
        raise WrongCode
    return _confirm(row, CODE, typed, actor, replaces=replaces)


def confirm_by_link(
    row: PendingEmail, token: str, actor: Actor, *, replaces: bool = False
) -> EmailAddress:
    """Add the address ``row`` to the account if ``token`` is from its link; return the new row.

    ``replaces``: see :func:`confirm_by_code`.

    Raises:
        WrongCode: the link was used, or another account now has the email address.
    """
    return _confirm(row, LINK, token, actor, replaces=replaces)


def confirm_by_staff(row: PendingEmail, actor: Actor) -> None:
    """Add the address ``row`` to the account for ``actor``, a member of staff.

    Raises:
        WrongCode: the address no longer waits for its confirmation, or another account now has
            it.
        AccountChanged: the account was changed in the meantime.
    """
    _confirm(row, LINK, _issue_link(row), actor)


def vouch(user: User, email: str) -> None:
    """Mark ``email`` as confirmed by Support only, and email it a link to refuse this.

    Apps get the address as unverified until its mailbox has answered an email.
    """
    row = user.emails.get(key=emails.key(email))
    EmailAddress.objects.filter(pk=row.pk).update(vouched_at=clock.now())
    with speaking(user.language):
        post(vouched_message(user, row.email, codes.issue_link(REFUSE, row.pk, row.key)))


def find_vouched(token: str) -> EmailAddress | None:
    """Return the address whose link has the secret ``token``; None if the mailbox is verified."""
    row_id = codes.subject_of(REFUSE, token)
    rows = EmailAddress.objects.select_related("user").filter(vouched_at__isnull=False)
    return rows.filter(pk=row_id).first() if row_id else None


@transaction.atomic
def refuse(token: str, actor: Actor) -> None:
    """Remove the address whose link has the secret ``token`` from its account.

    Raises:
        LinkEnded: the link was used or has expired, or the mailbox was verified since.
    """
    row = find_vouched(token)
    if row is None:
        raise LinkEnded
    owner = users.lock_row_as_is(row.user)
    if not codes.redeem(REFUSE, row.pk, token, row.key):
        raise LinkEnded
    row.delete()
    _void_proofs_and_links(owner)
    # The mailbox belongs to a stranger, who must not be able to lock the account.
    notices.end_links(owner, [row.email])
    if owner.email == row.email:
        oldest = owner.emails.order_by("confirmed_at").first()
        owner.save_email(oldest.email if oldest else "")
    record(owner, events.ADDRESS_REMOVED, actor, detail=row.email)


def find_pending_by_link(user: User, token: str) -> PendingEmail | None:
    """Return the unconfirmed address of ``user`` whose link has the secret ``token``, or None."""
    pending_id = codes.subject_of(LINK, token)
    return pending(user).filter(pk=pending_id).first() if pending_id else None


def make_primary(user: User, email_id: int, actor: Actor) -> EmailAddress:
    """Make the address with this id the primary address of ``user``, and return its row.

    Raises:
        EmailChangeRefused: the user has no such email address, or it is already the primary one.
        DecidedElsewhere: a directory manages ``user``.
    """
    users.refuse_managed(user)
    with transaction.atomic():
        owner, row = _lock_other(user, email_id)
        _make_primary(owner, row, actor)
        return row


def _lock_other(user: User, email_id: int) -> tuple[User, EmailAddress]:
    """Lock and return the row of ``user``, and the row of an address that is not primary."""
    owner = users.lock_row(user)
    row = EmailAddress.objects.filter(user=owner, pk=email_id).first()
    if row is None or row.email == owner.email:
        raise EmailChangeRefused
    return owner, row


def _make_primary(owner: User, row: EmailAddress, actor: Actor) -> EmailAddress | None:
    """Make ``row`` the primary address of ``owner``; return the former primary address, if any."""
    former = owner.emails.filter(email=owner.email).first()
    owner.save_email(row.email)
    _void_proofs_and_links(owner)
    record(owner, events.PRIMARY_CHANGED, actor, detail=row.email)
    return former


def replace_primary(owner: User, row: EmailAddress, actor: Actor) -> None:
    """Make ``row`` the primary address of ``owner``, and remove the former primary address.

    Call this in a transaction that has locked the row of ``owner``.
    """
    if former := _make_primary(owner, row, actor):
        _remove(owner, former, actor)


def remove(user: User, email_id: int, actor: Actor) -> EmailAddress:
    """Remove the email address with this id, and return its deleted row.

    Raises:
        EmailChangeRefused: the user has no such email address, or it is the primary one.
    """
    with transaction.atomic():
        owner, row = _lock_other(user, email_id)
        _remove(owner, row, actor)
        return row


def _remove(owner: User, row: EmailAddress, actor: Actor) -> None:
    EmailAddress.objects.filter(pk=row.pk).delete()
    _void_proofs_and_links(owner)
    is_young = row.confirmed_at > clock.now() - BEFORE
    if is_young and owner.emails.filter(confirmed_at__lt=row.confirmed_at).exists():
        # A thief may have added this address, because the account has an older one. Links that were
        # emailed to it must not lock the account.
        notices.end_links(owner, [row.email])
    told = record(owner, events.ADDRESS_REMOVED, actor, detail=row.email, former=row)
    former_credentials.keep_email(row, told.at)


def _void_proofs_and_links(owner: User) -> None:
    users.void_proofs_and_links(owner)
    known_browsers.keep(owner)


def prune() -> int:
    """Delete email addresses that were not confirmed in time; return how many were deleted."""
    return PendingEmail.objects.filter(expires_at__lte=clock.now()).delete()[0]


def _confirm(
    row: PendingEmail, purpose: Purpose, secret: str, actor: Actor, *, replaces: bool = False
) -> EmailAddress:
    if replaces:
        users.refuse_managed(row.user)
    try:
        with transaction.atomic():
            # Lock the user before the code, in the same order as a lockdown, so that the two cannot
            # deadlock.
            owner = users.lock_row(row.user)
            if not codes.redeem(purpose, row.pk, secret, row.key):
                raise WrongCode
            if not PendingEmail.objects.filter(pk=row.pk).delete()[0]:
                raise WrongCode
            users.confirm_email(owner, row.email)
            _void_proofs_and_links(owner)
            record(owner, events.ADDRESS_ADDED, actor, detail=row.email)
            added = owner.emails.get(key=row.key)
            if replaces and added.email != owner.email:
                replace_primary(owner, added, actor)
    except users.EmailTaken:
        raise WrongCode from None
    if actor.client and not actor.name:
        throttle.refund(row.key, actor.client)
        give_back(*throttle.of_person(row.user_id, row.key))
    return added
