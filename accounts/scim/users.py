"""The people whom a directory manages: it creates, changes, deactivates and deletes accounts.

A directory sees and changes only accounts that it has created and that have no rights. It no longer
sees a person who becomes staff. Every change first locks the row of the user.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.dispatch import receiver
from django.http import Http404
from django.utils.translation import gettext
from rest_framework.exceptions import ValidationError as DRFValidationError

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.models import LONGEST_DETAIL, RENAMED_TO
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.api import valid
from accounts.common.localization import speaking
from accounts.common.pages import absolute
from accounts.common.signals import credentials_changed
from accounts.common.text import fold
from accounts.deletion import services as deletion
from accounts.emails import services as emails_services
from accounts.mail.message import Message
from accounts.mail.services import mass_mail, post
from accounts.profile import services as profiles
from accounts.profile.api import ProfileSerializer
from accounts.scim.models import (
    LONGEST_EXTERNAL_ID,
    LONGEST_KEY,
    LONGEST_USER_NAME,
    Directory,
    ManagedUser,
)
from accounts.scim.protocol import CORE, UNSUPPORTED, Resource, ScimError, canonical
from accounts.throttle import services as throttle
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.models import User

TYPE = "User"
_EMAIL = {"value": None, "type": None, "primary": bool}
SCHEMA = {
    "userName": None,
    "externalId": None,
    "displayName": None,
    "name": {"givenName": None, "familyName": None},
    "emails": [_EMAIL],
    "active": bool,
}
# The fields of a profile by SCIM attribute.
_PROFILE = {"givenName": "given_name", "familyName": "family_name"}
_TAKEN = "Another account has this userName, email address or externalId."
_ADDRESS = ("emails", "emails.value", 'emails[type eq "work"].value')


@dataclass(frozen=True)
class Wanted:
    """The state of a person that a directory requests, in the form in which it is stored.

    ``email``: empty if it stays unchanged.
    """

    user_name: str
    external_id: str
    email: str
    is_active: bool
    profile: Mapping[str, str]

    @property
    def username(self) -> str:
        """The username on this site; empty if ``user_name`` is not allowed as a username."""
        try:
            return usernames.clean(self.user_name)
        except ValidationError:
            return ""


def id_of(text: str) -> UUID:
    """Parse an id; for text that is not a UUID, return an id that nobody has."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def have_rights() -> Q:
    """Return the condition for users with rights, whom no directory may see or change."""
    given = Permission.objects.filter(
        Q(user=OuterRef("user")) | Q(group__user=OuterRef("user"))
    ).order_by()
    return Q(user__is_staff=True) | Q(user__is_superuser=True) | Q(Exists(given))


def of(directory: Directory) -> QuerySet[ManagedUser]:
    """Return the people whom ``directory`` sees, oldest first."""
    given = Group.objects.filter(managed__directory=directory, permissions=None)
    shown = Prefetch(
        "user__groups", given.select_related("managed").order_by("name"), to_attr="shown_groups"
    )
    rows = ManagedUser.objects.filter(directory=directory).exclude(have_rights())
    return rows.select_related("user").prefetch_related(shown).order_by("created_at", "user")


def select(directory: Directory, conditions: Mapping[str, Any]) -> QuerySet[ManagedUser]:
    """Return the people of ``directory`` who meet ``conditions``, the values of a filter.

    Raises:
        ScimError: a condition is about another attribute.
    """
    rows = of(directory)
    for path, value in conditions.items():
        if path in _ADDRESS:
            # Without addresses that people have added themselves.
            is_given = Q(user__emails__email=F("user__email"))
            rows = rows.filter(is_given, user__emails__key=emails.key(str(value)))
        elif path == "id":
            rows = rows.filter(user=id_of(str(value)))
        elif path == "username":
            rows = rows.filter(user_name_key=fold(str(value)))
        elif path == "externalid":
            rows = rows.filter(external_id=value)
        else:
            raise ScimError("invalidFilter", UNSUPPORTED % "userName, externalId, emails.value, id")
    return rows


def reference(kind: str, id: UUID) -> Resource:
    """Return an item of a list that refers to a resource of this ``kind``: a user or a group."""
    return {"value": str(id), "$ref": absolute(f"scim-{kind}", id)}


def resource(row: ManagedUser) -> Resource:
    """Return the person as a SCIM resource, without version."""
    user = row.user
    name = {key: value for key, field in _PROFILE.items() if (value := getattr(user, field))}
    address = {"value": user.email, "type": "work"}
    optional = {
        "externalId": row.external_id,
        "displayName": user.display_name,
        "name": name,
        "emails": [address] if user.email else [],
        "groups": [
            {**reference("group", group.managed.pk), "display": group.name}
            for group in getattr(user, "shown_groups")  # noqa: B009 the type has no such field
        ],
    }
    return {
        "schemas": [f"{CORE}{TYPE}"],
        "id": str(user.pk),
        "userName": row.user_name,
        **{key: value for key, value in optional.items() if value},
        "active": user.is_active,
        "meta": {
            "resourceType": TYPE,
            "created": row.created_at.isoformat(),
            "location": absolute("scim-user", user.pk),
        },
    }


def wanted(given: Any) -> Wanted:
    """Parse the resource ``given``, which a directory has sent.

    Raises:
        ScimError: a value is missing, or is not allowed.
    """
    data = canonical(given, SCHEMA)
    user_name, external_id = data.get("userName", ""), data.get("externalId", "")
    found = sorted(data.get("emails", ()), key=_rank)
    email = found[0].get("value", "") if found else ""
    name, display = data.get("name", {}), data.get("displayName", "")
    profile = {field: name.get(key, "") for key, field in _PROFILE.items()}
    try:
        # Some characters become 18 characters in the canonical form.
        is_long = len(user_name) > LONGEST_USER_NAME or len(fold(user_name)) > LONGEST_KEY
        if is_long or len(external_id) > LONGEST_EXTERNAL_ID:
            raise ValidationError("A userName or externalId is too long.")
        checked = valid(ProfileSerializer(data={"display_name": display, **profile}))
        email = emails.clean(email) if email else ""
    except (ValidationError, DRFValidationError) as error:
        raise ScimError("invalidValue", _sentence(error)) from None
    if not user_name.strip():
        raise ScimError("invalidValue", "“userName” is missing.")
    return Wanted(user_name, external_id, email, data.get("active", True), checked)


def _rank(row: Resource) -> tuple[bool, bool]:
    return not row.get("primary", False), row.get("type") != "work"


def _sentence(error: Exception) -> str:
    """Return the first sentence of a validation error, with the name of its field."""
    if isinstance(error, ValidationError):
        return error.messages[0]
    field, sentences = next(iter(cast(Any, error).detail.items()))
    return f"{field}: {sentences[0]}"


def create(directory: Directory, given: Any, actor: Actor) -> ManagedUser:
    """Create an account without a password, and email the person how to sign in.

    Whoever reads the mailbox can sign in by an emailed code. Until then, ``email_verified`` is
    false for apps.

    Raises:
        ScimError: see :func:`wanted`. With status 409, the username, a look-alike of it, the
            email address or the ``externalId`` is taken.
    """
    new = wanted(given)
    if not new.email:
        # Okta and Entra ID use email addresses as usernames.
        by_name = {"userName": new.user_name, "emails": {"value": new.user_name}}
        new = replace(new, email=wanted(by_name).email)
    with unique(), mass_mail(directory.pk):
        user = users.create_user(_take_username(new), make_password(None))
        User.objects.filter(pk=user.pk).update(**new.profile)
        user.refresh_from_db()
        row = ManagedUser(user=user, directory=directory)
        _store(row, new)
        record(user, events.IMPORTED, actor)
        users.confirm_email(user, new.email)
        user.emails.update(vouched_at=clock.now())
        if new.is_active:
            _invite(row)
        else:
            row.is_switched_off = True
            row.save(update_fields=["is_switched_off"])
            User.objects.filter(pk=user.pk).update(is_active=False)
    return of(directory).get(user=user)


def change(
    directory: Directory,
    id: UUID,
    actor: Actor,
    apply: Callable[[Resource], Any],
) -> ManagedUser:
    """Change the person with this id as the function ``apply`` changes the resource.

    Raises:
        Http404: ``directory`` sees no such person.
        ScimError: see :func:`wanted` and :func:`create`. With status 403, the directory tried
            to reactivate an account that staff have deactivated.
    """
    with unique(), mass_mail(directory.pk):
        row = _locked(directory, id)
        new = wanted(apply(resource(row)))
        user = row.user
        if new.is_active and not user.is_active and not row.is_switched_off:
            raise ScimError("mutability", "Staff of the site have deactivated this account.", 403)
        profiles.store(user, new.profile, actor)
        if new.user_name != row.user_name:
            _rename(user, new.username, actor)
        if new.email and emails.key(new.email) != emails.key(user.email):
            _replace_email(user, new.email, actor)
        _store(row, new)
        if new.is_active != user.is_active:
            _switch(row, new.is_active, actor)
    return of(directory).get(user=id)


def delete(
    directory: Directory, id: UUID, actor: Actor, check: Callable[[Resource], object]
) -> None:
    """Deactivate the account, and request its deletion. The directory no longer sees it.

    The person can undo the request for ``DELETION_DAYS``, but only staff can reactivate the
    account.

    Raises:
        Http404: ``directory`` sees no such person.
    """
    with transaction.atomic(), mass_mail(directory.pk):
        row = _locked(directory, id)
        check(resource(row))
        if row.user.is_active:
            User.objects.filter(pk=id).update(is_active=False)
            # The email about the deletion contains the link that undoes it.
            record(row.user, events.SWITCHED_OFF, actor, mail=False)
        if row.user.deletion_due is None:
            deletion.request(row.user, actor)
        row.delete()


@contextmanager
def unique() -> Iterator[None]:
    """Return a context manager with a transaction, which converts conflicts to SCIM errors.

    Raises:
        ScimError: a name, email address or id is taken.
    """
    try:
        with transaction.atomic():
            yield
    except (users.UsernameTaken, users.EmailTaken, IntegrityError):
        raise ScimError("uniqueness", _TAKEN, 409) from None


def _locked(directory: Directory, id: UUID) -> ManagedUser:
    """Lock the row of the user, and return the person as read under the lock."""
    User.objects.select_for_update(no_key=True).filter(pk=id).first()
    if row := of(directory).filter(user=id).first():
        return row
    raise Http404


def _take_username(new: Wanted) -> str:
    if new.username:
        users.take_username(new.username, until=None)
        return new.username
    suggested = usernames.suggest(new.user_name) or usernames.suggest(new.email) or "member"
    return users.take_similar_username(suggested)


def _store(row: ManagedUser, new: Wanted) -> None:
    row.user_name, row.user_name_key = new.user_name, fold(new.user_name)
    row.external_id = new.external_id
    row.save()


def _rename(user: User, name: str, actor: Actor) -> None:
    """Rename ``user`` if ``name`` differs. An empty ``name`` changes nothing."""
    if name and name != user.username:
        renamed = users.rename(user, name, lock=users.lock_row_as_is)
        record(renamed, events.RENAMED, actor, detail=f"{user.username}{RENAMED_TO}{name}")


def _replace_email(user: User, email: str, actor: Actor) -> None:
    """Make ``email`` the only address that the directory has given.

    The former address gets a notice, and still proves ownership for a while. A new address gets a
    link to refuse the account (:func:`emails_services.vouch`). If the directory has already given
    ``email``, nothing changes.

    Raises:
        EmailTaken: another account has the address.
    """
    is_refused = not user.email and activity.has_happened(
        user, events.ADDRESS_REMOVED, user.date_joined, email[:LONGEST_DETAIL]
    )
    if is_refused:
        return
    own = user.emails.filter(key=emails.key(email)).first()
    if own is None:
        users.confirm_email(user, email)
        # The address is unverified even if a limit prevents the email below.
        user.emails.filter(key=emails.key(email)).update(vouched_at=clock.now())
    # The first address is already the primary one.
    if (row := own or user.emails.get(key=emails.key(email))).email != user.email:
        emails_services.replace_primary(user, row, actor)
    if own is None and throttle.hit(silent=throttle.of_person(user.pk, row.key)[1:]):
        emails_services.vouch(user, email)


def _switch(row: ManagedUser, is_active: bool, actor: Actor) -> None:
    """Reactivate the account; or deactivate it, and end every session, token and app."""
    user = row.user
    User.objects.filter(pk=user.pk).update(is_active=is_active)
    event = events.SWITCHED_ON if is_active else events.SWITCHED_OFF
    credentials_changed.send(User, user=user, event=event.name, actor=actor, keep=None)
    ManagedUser.objects.filter(pk=user.pk).update(is_switched_off=not is_active)
    if is_active and user.last_login is None:
        _invite(row)


@receiver(credentials_changed)
def forget_switch(*, user: User, event: str, **_signal: Any) -> None:
    """Record that staff, not the directory, have decided whether the account is active."""
    if event in events.names(events.SWITCHED_ON, events.SWITCHED_OFF):
        ManagedUser.objects.filter(user=user).update(is_switched_off=False)


def _invite(row: ManagedUser) -> None:
    key = emails.key(row.user.email)
    if throttle.hit(silent=throttle.of_person(row.pk, key)[1:]):
        with speaking(row.user.language):
            post(invitation(row))


def invitation(row: ManagedUser) -> Message:
    """Return the email that tells a person about the new account and how to sign in."""
    about = {
        "directory": row.directory.name,
        "email": row.user.email,
        "site": settings.AUTHSITE.site_name,
    }
    # Under ``STRICT``, emailed codes do not sign anybody in, and their page does not exist.
    if settings.AUTHSITE.is_strict:
        page, label = "account_reset_password", gettext("Set a password")
        first = gettext("To set a password, enter this email address. We’ll email you a link.")
    else:
        page, label = "login_code", gettext("Sign in")
        first = gettext("To sign in, enter this email address. We’ll email you a code.")
    return Message(
        to=row.user.email,
        subject=gettext("Your account at %(site)s") % about,
        paragraphs=[
            gettext("%(directory)s has created an account at %(site)s for you.") % about,
            first,
        ],
        facts=[
            (gettext("Username"), row.user.username),
            (gettext("Your address"), row.user.email),
        ],
        action_label=label,
        action_url=absolute(page),
        closing=[
            gettext("Not expecting this? You don’t need to do anything."),
        ],
        reason=gettext("Sent to %(email)s because %(directory)s added this address at %(site)s.")
        % about,
    )
