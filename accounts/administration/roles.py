"""Decides which roles staff have, and on whom a member of staff may act.

Nobody may act on an account that has more rights, or on their own account.
"""

from collections.abc import Iterable, Mapping

from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError, RateLimited
from accounts.users.models import PendingSignup, User
from accounts.users.rights import ACTING, Role, names_of_rights, rights_of, role_of
from accounts.users.services import AccountChanged


class AlreadyDone(PublicError):
    """The act would change nothing; another member of staff may have done it."""

    code = "already_done"
    status = 409
    message = _(
        "There’s nothing left to do. Somebody else may have changed this account meanwhile."
    )


class ChangedMeanwhile(AccountChanged):
    """The owner or staff changed the account at the same moment."""

    message = _("Somebody else has changed this account meanwhile. Check it, then try again.")


class JustSent(RateLimited):
    """The email was sent less than a minute ago, perhaps by another member of staff."""

    message = _(
        "This email was sent less than a minute ago, perhaps by somebody else. Wait a moment "
        "before you send it again."
    )


class JustCleared(RateLimited):
    """Staff have reset the limits of the account too often."""

    message = _(
        "The limits of this account were reset several times, perhaps by somebody else. Each time, "
        "an attacker can guess again. Wait half an hour before you reset them again."
    )


class FactorNeeded(PublicError):
    """The factor cannot be removed alone, because the account must have one."""

    code = "factor_required"
    message = _("The account needs this second factor. Remove all second factors instead.")


class CannotWait(PublicError):
    """The removal cannot wait: nobody would be notified, or the address is too new to object."""

    code = "not_offered"
    message = _(
        "Waiting isn’t possible for this account. Remove the factors now, or ask an operator."
    )


class UnknownTarget(PublicError):
    """The account has no such address, session, factor or key, or the act needs a target."""

    code = "invalid_target"
    message = _("Choose one from the list.")


class NoMode(PublicError):
    """The act does not have this mode."""

    code = "invalid_mode"
    message = _("This action can’t wait. Choose “Now”.")


# The permissions that staff choose from: a description by name, and the apps that they belong to.
RIGHTS: dict[str, str | Promise] = {
    "view_user": _("See people, and why they can’t sign in"),
    "help_user": _("Help people who aren’t staff"),
    "manage_user": _("Help staff, and change the groups of others"),
    "view_group": _("See groups"),
    "add_invitation": _("Invite people"),
    "view_dailycount": _("See the overview"),
}
LABELS = {"accounts", "auth"}
# Apps whose other permissions have no effect, because their models have no pages in the admin.
_NO_PAGES = ("administration", "admin", "account", "socialaccount", "contenttypes")


def register(label: str, rights: Mapping[str, str | Promise]) -> None:
    """Add ``rights`` of the app ``label`` to the permissions that staff choose from."""
    LABELS.add(label)
    RIGHTS.update(rights)


class NotInRole(PublicError):
    """The role of the member of staff does not include the act."""

    code = "not_in_role"
    status = 403
    message = _("Your role doesn’t include this.")


class NotAllowedOnStaff(PublicError):
    """The member of staff may not act on this account, because it has too many rights."""

    code = "not_allowed_on_staff"
    status = 403
    message = _("You can’t act on this account. Ask someone with more rights.")


class OwnAccount(NotAllowedOnStaff):
    """The member of staff tried to act on their own account."""

    message = _("This is your own account. Change it on your account’s own pages.")


def check_reads(staff: User) -> None:
    """Require that ``staff`` may read the accounts of others.

    Raises:
        NotInRole: ``staff`` has no role.
    """
    if role_of(staff) is None:
        raise NotInRole


def check(staff: User, user: User | PendingSignup) -> None:
    """Require that ``staff`` may act on the account or sign-up ``user``.

    Raises:
        NotInRole: ``staff`` has no role, or is an auditor.
        NotAllowedOnStaff: ``user`` is staff, is ``staff``, or has rights that ``staff`` does
            not have.
    """
    role = role_of(staff)
    if role not in ACTING:
        raise NotInRole
    if user.pk == staff.pk:
        raise OwnAccount
    if isinstance(user, PendingSignup) or role is Role.SUPERUSER:
        return
    is_above = user.is_superuser or (user.is_staff and role is Role.SUPPORT)
    if is_above or not staff.has_perms(names_of_rights(user)):
        raise NotAllowedOnStaff


def out_of_reach(staff: User, users: QuerySet[User]) -> QuerySet[User]:
    """Return the ``users`` on whom ``staff`` may not act. ``staff`` must have a role that acts.

    The rule is the same as in :func:`check`, in one query.
    """
    beyond = Q(pk=staff.pk)
    if role_of(staff) is not Role.SUPERUSER:
        lacking = Permission.objects.exclude(pk__in=rights_of(staff))
        beyond |= Q(is_superuser=True)
        beyond |= Q(user_permissions__in=lacking) | Q(groups__permissions__in=lacking)
    if role_of(staff) is Role.SUPPORT:
        beyond |= Q(is_staff=True)
    return users.filter(beyond)


def may_change_rights(staff: User, user: User) -> bool:
    """Return whether ``staff`` may change the groups and the staff status of ``user``.

    Superusers may change their own rights, too.
    """
    role = role_of(staff)
    if role is not Role.MANAGER:
        return role is Role.SUPERUSER
    try:
        check(staff, user)
    except PublicError:
        return False
    return True


def rights_to_give(held: Iterable[Permission] = ()) -> QuerySet[Permission]:
    """Return the permissions that a superuser can choose from.

    These are the permissions of this site that have an effect, the permissions of apps that the
    operator has added, and ``held``, the permissions that the user or group already has.
    """
    own = Q(content_type__app_label__in=LABELS, codename__in=RIGHTS)
    others = ~Q(content_type__app_label__in=[*LABELS, *_NO_PAGES])
    wanted = own | others | Q(pk__in=[row.pk for row in held])
    rows = Permission.objects.filter(wanted).select_related("content_type")
    return rows.order_by("content_type__app_label", "-content_type__model", "pk")
