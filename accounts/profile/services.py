"""Changes usernames and profiles, checks how accounts are protected, and shows them to staff."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from operator import itemgetter

from django.conf import settings
from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.models import RENAMED_TO
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.proofs import FEW_RECOVERY_CODES
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.throttle.limits import NAME_TRY, PROFILE_CHANGE, RENAME, STAFF
from accounts.throttle.services import give_back, hit, wait
from accounts.twofactor import passkeys
from accounts.twofactor import services as twofactor
from accounts.twofactor.services import Held
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.models import User


class Step(StrEnum):
    """A suggested step that makes an account safer, the most useful one first."""

    ADD_EMAIL = "add_email"
    ADD_PASSKEY = "add_passkey"
    CONFIRM_PASSKEY = "confirm_passkey"
    TURN_ON_TWO_STEP = "turn_on_two_step"
    SAVE_CODES = "save_codes"
    MAKE_CODES = "make_codes"


@dataclass(frozen=True)
class Checkup:
    """The facts about an account, and the results of the four checks of its protection.

    The checks are: a passkey, two-step verification, a way to recover the account, and an email
    address.

    Attributes:
        email: the primary email address, or empty if there is none.
        emails: the number of confirmed email addresses.
        has_password: whether the user can sign in with a password.
        has_provider: whether the user can sign in with an external identity.
        held: the second factors and recovery codes of the account.
        has_declined: whether the user has declined a passkey lately.
    """

    email: str
    emails: int
    has_password: bool
    has_provider: bool
    held: Held
    has_declined: bool = False

    @property
    def has_passkey(self) -> bool:
        """Whether the account has a passkey, which may be unconfirmed."""
        return bool(self.held.passkeys or self.held.unconfirmed)

    @property
    def is_two_step(self) -> bool:
        """Whether two-step verification is on."""
        return bool(self.held.count)

    @property
    def codes_left(self) -> int:
        """The number of unused recovery codes."""
        codes = self.held.recovery_codes
        return codes.left if codes else 0

    @property
    def are_codes_saved(self) -> bool:
        """Whether the owner has confirmed that the recovery codes are saved."""
        codes = self.held.recovery_codes
        return bool(codes and codes.saved_at)

    @property
    def is_recovery_good(self) -> bool:
        """Whether the owner can recover the account after the loss of a password or second factor.

        If two-step verification is on, the owner needs enough saved recovery codes. If it is off,
        the owner needs an email address.
        """
        if not self.is_two_step:
            return bool(self.email)
        return self.are_codes_saved and self.codes_left > FEW_RECOVERY_CODES

    @property
    def checks(self) -> list[tuple[str, bool]]:
        """The names of the checks, each with whether it is good. Failed checks come first."""
        names = ("sign_in", "two_step", "recovery", "email")
        good = (self.has_passkey, self.is_two_step, self.is_recovery_good, bool(self.email))
        return sorted(zip(names, good, strict=True), key=itemgetter(1))

    @property
    def next_step(self) -> Step | None:
        """The most useful step that remains, or None if no step remains."""
        needed = {
            Step.ADD_EMAIL: not self.email,
            Step.ADD_PASSKEY: not (self.has_passkey or self.has_declined),
            Step.CONFIRM_PASSKEY: self.has_passkey and not self.held.passkeys,
            Step.TURN_ON_TWO_STEP: not self.is_two_step,
            Step.SAVE_CODES: not self.are_codes_saved,
            Step.MAKE_CODES: self.codes_left <= FEW_RECOVERY_CODES,
        }
        return next((step for step, is_needed in needed.items() if is_needed), None)


class SameName(PublicError):
    """The new username is the same as the current one."""

    code = "same_name"
    message = _("That’s already your username.")


def checkup(user: User) -> Checkup:
    """Return how well the account of ``user`` is protected."""
    held = twofactor.held(user)
    return Checkup(
        email=user.email,
        emails=len(users.emails_of(user)),
        has_password=user.has_usable_password(),
        has_provider=bool(users_models.usable(user)),
        held=held,
        has_declined=passkeys.is_declined(user),
    )


def options_of_offer(session: LoginSession, checkup: Checkup) -> str:
    """Return JSON options with which the browser may create a passkey without asking the user.

    The result is empty if the home page does not offer a passkey, or if the browser may not create
    one.
    """
    if checkup.next_step is not Step.ADD_PASSKEY or not policy.may_make_passkey(session):
        return ""
    return json.dumps(passkeys.options_to_add(session.user, is_automatic=True))


def save(
    user: User,
    profile: Mapping[str, str],
    actor: Actor,
    *,
    app: str = "",
    check: Callable[[User], None] | None = None,
) -> dict[str, str]:
    """Store the fields of ``profile`` that have changed. The values must be validated.

    Return the former values of these fields. The owner is notified in the language that ``user``
    had before.

    Changes are limited because each one adds an event to the history. The user and each connected
    app have separate limits, so that an app cannot use up the changes of its user.

    ``app``: the client ID of the connected app that makes the change, or an empty string.
    ``check``: raises an exception if the user, as read under a lock, must not be changed.

    Raises:
        DecidedElsewhere: a directory decides one of the fields.
        RateLimited: there were too many changes.
    """
    changed = _changed(user, profile)
    if not changed:
        return {}
    if users.DECIDED & changed.keys():
        users.refuse_managed(user)
    hit(PROFILE_CHANGE.of(user.pk, app))
    with transaction.atomic():
        if check:
            check(users.lock_row_as_is(user))
        store(user, profile, actor)
    return {name: getattr(user, name) for name in changed}


def store(user: User, profile: Mapping[str, str], actor: Actor) -> bool:
    """Store and record the fields of ``profile`` that differ from those of ``user``.

    Return whether any field differs. Call this in a transaction.
    """
    changed = _changed(user, profile)
    # Apps do not get ``about``.
    told = {"updated_at": clock.now()} if changed.keys() - {"about"} else {}
    if changed:
        User.objects.filter(pk=user.pk).update(**changed, **told)
        record(user, events.PROFILE_CHANGED, actor)
    return bool(changed)


def _changed(user: User, profile: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in profile.items() if getattr(user, name) != value}


def read(reader: User, user_id: uuid.UUID, actor: Actor) -> User:
    """Return the user with this id, and record in that user's history who has read the account.

    Raises:
        Http404: there is no such user.
        RateLimited: ``reader`` has read too many users.
    """
    hit(STAFF.of("read", reader.pk))
    user = users.find_by_id(str(user_id))
    if user is None:
        raise Http404
    record(user, events.PROFILE_READ, actor)
    return user


def seconds_to_next_name(user: User) -> int:
    """Return the number of seconds until :func:`rename` may be called; 0 means now."""
    return wait(RENAME.of(user.pk))


def _time_held(user: User) -> timedelta:
    """Return how long the former username of ``user`` is reserved.

    For staff this is longer: the events of others contain their names, which must not stand for
    another person.
    """
    kept = settings.AUTHSITE.activity_days if activity.is_named(user) else 0
    return max(users.FORMER_NAME_LIFE, timedelta(days=kept))


def rename(user: User, name: str, actor: Actor) -> None:
    """Change the username of ``user`` to ``name``, at most once a day. ``name`` must be validated.

    Raises:
        SameName: ``name`` is the current username.
        DecidedElsewhere: a directory manages ``user``.
        UsernameTaken: ``name`` is taken, or looks like a username that is taken.
        AccountChanged: the account was changed meanwhile.
        RateLimited: the username was changed less than a day ago, or there were too many
            attempts.
    """
    if name == user.username:
        raise SameName
    users.refuse_managed(user)
    hit(NAME_TRY.of("username", user.pk), RENAME.of(user.pk))
    try:
        with transaction.atomic():
            renamed = users.rename(user, name, held=_time_held(user))
            record(renamed, events.RENAMED, actor, detail=f"{user.username}{RENAMED_TO}{name}")
    except (users.UsernameTaken, users.AccountChanged):
        give_back(RENAME.of(user.pk))
        raise
