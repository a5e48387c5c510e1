"""Creates, revokes and accepts invitations.

An invitation is accepted when the invited email address is confirmed: by its link, at an ordinary
sign-up, or by a provider. The rights of the inviter are checked again at that moment.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record, tell_superusers
from accounts.calls import services as calls
from accounts.codes import services as codes
from accounts.codes.services import LinkEnded, Purpose
from accounts.common import clock, localization
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import PublicError
from accounts.common.pages import absolute
from accounts.invitations.models import Invitation
from accounts.mail.message import Message
from accounts.mail.services import Queue, post_to_mailbox
from accounts.throttle.limits import MAIL_AGAIN, STAFF_INVITE, Budget
from accounts.throttle.services import hit as spend_budget
from accounts.users import emails
from accounts.users.models import User
from accounts.users.rights import groups_to_give, note_groups_changed


def invitation_message(invitation: Invitation, token: str) -> Message:
    """Return the email with the link, to an address that no account has."""
    about = {"email": invitation.email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=invitation.email,
        subject=gettext("You’re invited to %(site)s") % about,
        paragraphs=[gettext("The team at %(site)s invites you to create an account.") % about],
        facts=[
            (gettext("Your address"), invitation.email),
            (gettext("Valid until"), localization.in_full(invitation.expires_at)),
        ],
        action_label=gettext("Accept the invitation"),
        action_url=absolute("invitation", token),
        closing=[gettext("Don’t want an account? You don’t need to do anything.")],
        reason=gettext("Sent to %(email)s because the team at %(site)s invited this address.")
        % about,
    )


def has_account_message(owners_email: str) -> Message:
    """Return the email to the owner of an account that somebody else tried to invite."""
    about = {"email": owners_email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=owners_email,
        subject=gettext("You already have an account at %(site)s") % about,
        paragraphs=[
            gettext("The team at %(site)s invited this email address to create an account.") % about
        ],
        questions=[(gettext("What now?"), gettext("You already have an account. Sign in to it."))],
        action_label=gettext("Sign in"),
        action_url=absolute("account_login"),
        closing=[gettext("Nothing has changed on your account.")],
        reason=gettext("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )


LONGEST_DAYS = 30
# The factor by which API keys may send more invitations: 10,000 in an hour.
OF_KEYS = 170
NAME = "invitation"
LINK = Purpose(NAME, timedelta(days=LONGEST_DAYS))


class MoreThanOwnRights(PublicError):
    """The inviter may not invite, or may not give a right of the invitation."""

    code = "not_in_role"
    status = 403
    message = _("You can’t give rights that you don’t have.")


class InvitationEnded(PublicError):
    """The invitation was accepted or revoked meanwhile."""

    code = "already_done"
    status = 409
    message = _("That invitation was accepted or revoked meanwhile.")


def may_invite(user: User) -> bool:
    """Return whether ``user`` is active and may send invitations, and sign-up is not closed."""
    is_closed = settings.AUTHSITE.signup == "closed"
    return not is_closed and user.is_staff and user.has_perm("accounts.add_invitation")


def may_revoke(user: User, invitation: Invitation) -> bool:
    """Return whether ``user`` may give all rights of ``invitation``."""
    return _may_give(user, invitation.groups.all(), is_staff=invitation.is_staff)


def gives_rights(groups: Collection[Group], *, is_staff: bool) -> bool:
    """Return whether ``groups`` have permissions, or ``is_staff`` is True."""
    return is_staff or Permission.objects.filter(group__in=groups).exists()


def invite(
    inviter: User,
    email: str,
    *,
    groups: Collection[Group] = (),
    is_staff: bool = False,
    days: int,
    actor: Actor,
    replaces: Invitation | None = None,
) -> Invitation:
    """Create an invitation that expires after ``days`` days, and email its link to ``email``.

    The invitation replaces earlier ones to this address that ``inviter`` may revoke. If
    ``replaces`` is given, nothing happens unless that invitation still exists. If the address
    belongs to an account, its owner gets an email without a link instead. Neither the result nor
    the time that it takes reveals which email was sent.

    ``actor``: the client of ``inviter``, with the reason if the invitation gives rights.

    Raises:
        MoreThanOwnRights: ``inviter`` may not invite, or may not give one of the rights.
        RateLimited: the inviter, or the inviter's API keys, sent too many invitations, or one
            to this address just now.
        InvitationEnded: ``replaces`` was accepted or revoked meanwhile.
    """
    if not (may_invite(inviter) and _may_give(inviter, groups, is_staff=is_staff)):
        raise MoreThanOwnRights
    invitation = _new(inviter, email, is_staff=is_staff, life=timedelta(days=days))
    invitation.reason = actor.reason
    spend_budget(_budget(inviter, actor), MAIL_AGAIN.of(NAME, invitation.email_key))
    with transaction.atomic():
        if replaces and not _end(replaces):
            raise InvitationEnded
        _end_earlier(invitation)
        invitation.save(force_insert=True)
        invitation.groups.set(groups)
        calls.created(invitation.pk, owner=inviter.pk)
        record(inviter, events.INVITED, actor, detail=email, mail=bool(groups) or is_staff)
        _post(invitation)
    return invitation


def send_again(invitation: Invitation, user: User, actor: Actor) -> None:
    """Send ``invitation`` again with a new link, which is valid for the same number of days.

    The earlier link stops working, and ``user`` becomes the inviter.

    Raises:
        MoreThanOwnRights, RateLimited, InvitationEnded: see :func:`invite`.
    """
    invite(
        user,
        invitation.email,
        groups=list(invitation.groups.all()),
        is_staff=invitation.is_staff,
        days=(invitation.expires_at - invitation.created_at).days,
        actor=replace(actor, reason=invitation.reason),
        replaces=invitation,
    )


@transaction.atomic
def revoke(invitation: Invitation, user: User, actor: Actor) -> None:
    """Revoke ``invitation`` on behalf of ``user``.

    Raises:
        InvitationEnded: the invitation was accepted, revoked or replaced, or has expired.
        MoreThanOwnRights: ``user`` may not give one of the rights that the invitation gives.
    """
    if not may_revoke(user, invitation):
        raise MoreThanOwnRights
    if not _end(invitation):
        raise InvitationEnded
    record(user, events.INVITATION_REVOKED, actor, detail=invitation.email)


def revoke_all(inviter: User) -> None:
    """Revoke all invitations that ``inviter`` has sent."""
    for invitation in Invitation.objects.filter(invited_by=inviter):
        _end(invitation)


def find_by_link(token: str) -> Invitation | None:
    """Return the valid invitation whose link has the secret ``token``, or None."""
    subject = codes.subject_of(LINK, token)
    return next(iter(_valid(pk=subject)), None) if subject else None


def redeem(token: str) -> Invitation:
    """Use up the link with the secret ``token``, and return its invitation.

    Call this, and then :func:`accept`, in the transaction that creates the user.

    Raises:
        LinkEnded: the invitation was accepted or revoked, has expired, or its inviter may no
            longer invite.
    """
    invitation = find_by_link(token)
    key = invitation.email_key if invitation else ""
    if invitation is None or not codes.redeem(LINK, invitation.pk, token, key):
        raise LinkEnded
    return invitation


def accept(user: User, email: str) -> bool:
    """Accept the invitations to ``email``, the confirmed address of the new account ``user``.

    ``email`` is empty if the account has no address. The user gets only the rights that the inviter
    may give at this moment. Call this in the transaction that confirms the address. Return whether
    there was a valid invitation.
    """
    accepted = [(row, list(row.groups.all())) for row in _valid(email_key=emails.key(email))]
    # A simultaneous ``revoke`` may have deleted the invitation.
    accepted = [(row, groups) for row, groups in accepted if _end(row)]
    for invitation, groups in accepted:
        _give_rights(user, invitation, groups)
        inviter = invitation.invited_by
        record(inviter, events.INVITATION_ACCEPTED, Actor(), detail=user.username)
    return bool(accepted)


_ACCEPTED = PreparedQuery(
    lambda: Activity.objects.filter(
        kind=events.INVITATION_ACCEPTED.name, detail=P("name"), at__gte=P("since")
    )
)


def is_accepted_by(user: User) -> bool:
    """Return whether ``user`` has accepted an invitation."""
    return _ACCEPTED.count(1, name=user.username, since=user.date_joined) > 0


def prune() -> int:
    """Delete expired invitations; return how many were deleted."""
    expired = Invitation.objects.filter(expires_at__lte=clock.now())
    return sum(map(_end, expired))


def _budget(inviter: User, actor: Actor) -> Budget:
    if actor.key:
        return STAFF_INVITE.times(OF_KEYS).of("key", inviter.pk)
    return STAFF_INVITE.of(inviter.pk)


def _may_give(user: User, groups: Iterable[Group], *, is_staff: bool) -> bool:
    is_within = set(groups) <= set(groups_to_give(user))
    return user.is_superuser or (is_within and not is_staff)


def _valid(**which: object) -> list[Invitation]:
    running = Invitation.objects.filter(expires_at__gt=clock.now(), **which)
    return [row for row in running.select_related("invited_by") if may_invite(row.invited_by)]


def _end_earlier(invitation: Invitation) -> None:
    for earlier in Invitation.objects.filter(email_key=invitation.email_key):
        if may_revoke(invitation.invited_by, earlier):
            _end(earlier)


def _end(invitation: Invitation) -> bool:
    """Delete the invitation and its link; return False if it has already ended."""
    # The link first, in the same order as ``redeem``, so that two transactions cannot deadlock.
    codes.withdraw(LINK, invitation.pk)
    deleted = Invitation.objects.filter(pk=invitation.pk).delete()[1]
    return bool(deleted.get(Invitation._meta.label))


def _give_rights(user: User, invitation: Invitation, groups: list[Group]) -> None:
    inviter = invitation.invited_by
    given = [group for group in groups_to_give(inviter) if group in groups]
    user.groups.add(*given)
    if given:
        note_groups_changed(User.objects.filter(pk=user.pk))
    if invitation.is_staff and inviter.is_superuser:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    if not (given or user.is_staff):
        return
    by = Actor().as_staff(inviter, invitation.reason)
    names = ", ".join(group.name for group in given)
    record(user, events.RIGHTS_CHANGED, by, detail=names, mail=False)
    tell_superusers(user, by)


def _new(inviter: User, email: str, *, is_staff: bool, life: timedelta) -> Invitation:
    """Return a new invitation that is not stored yet."""
    now = clock.now()
    return Invitation(
        email=email,
        email_key=emails.key(email),
        is_staff=is_staff,
        invited_by=inviter,
        created_at=now,
        expires_at=now + life,
    )


def _post(invitation: Invitation) -> None:
    life = invitation.expires_at - invitation.created_at
    token = codes.issue_link(Purpose(NAME, life), invitation.pk, invitation.email_key)
    invite = partial(invitation_message, invitation, token)
    key, queue = invitation.email_key, Queue.NOTICES
    post_to_mailbox(key, invite, has_account_message, life=life, queue=queue)
