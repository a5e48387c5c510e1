"""Decides which user a provider profile signs in, and which profiles an account may connect.

The reasons for these decisions are in docs/decisions/0016-external-providers.md.

A pending link is a profile in the session data of the browser. The identity is connected with the
account when the user confirms.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event, Failure
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.errors import LastWayIn, PublicError, SignupClosed
from accounts.common.localization import spoken
from accounts.common.proofs import Method, Proof
from accounts.common.signals import credentials_changed
from accounts.invitations import services as invitations
from accounts.recovery import suspension
from accounts.sessions import services as sessions
from accounts.signin import policy
from accounts.signin.services import NotAccepted
from accounts.social.attempts import Attempt, ProviderProfile
from accounts.throttle.services import hit, of_sign_up
from accounts.twofactor import services as twofactor
from accounts.users import emails, usernames
from accounts.users import forms as users_forms
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.models import LONGEST_LABEL, EmailAddress, Identity, User

if TYPE_CHECKING:
    from accounts.social.providers import Provider

# The maximum time by which a provider's clock may be behind this site's clock.
CLOCK_SKEW = timedelta(minutes=1)


class NotYours(PublicError):
    """The person reauthenticated with an external identity that is not connected to the account."""

    code = "not_yours"
    status = 403
    message = _("The account that you just signed in with isn’t connected to your account here.")


class NotSignedInAnew(PublicError):
    """The person did not sign in again at the provider.

    The provider may have accepted an earlier sign-in in the same browser, which somebody else may
    be using now.
    """

    code = "not_signed_in_anew"
    status = 403
    message = _(
        "%(name)s didn’t ask you to sign in again, so we couldn’t confirm that it’s "
        "you. Try again, or choose another way."
    )

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __str__(self) -> str:
        return str(self.message) % {"name": self.name}


def verify(user: User, profile: ProviderProfile, attempt: Attempt, actor: Actor) -> Proof:
    """Return the proof that ``user`` has reauthenticated at the provider of ``attempt``.

    Raises:
        NotYours: ``profile`` belongs to another account or to none, or is suspended.
        NotAccepted: the authentication policy does not accept this provider for ``user``.
        NotSignedInAnew: the sign-in at the provider is older than ``attempt``, or the provider
            does not report its time, although it normally does.
    """
    identity = users_models.find_identity(profile.issuer, profile.subject)
    if identity is None or identity.user_id != user.pk or identity.suspended_at:
        sessions.record_failed_reauthentication(user, actor)
        raise NotYours
    users_models.note_use(identity)
    issuer = next((row for row in policy.provers(user) if row.key == attempt.provider), None)
    if issuer is None:
        raise NotAccepted
    if issuer.tells_when and not _is_signed_in_anew(profile, attempt):
        raise NotSignedInAnew(issuer.name)
    return Proof.now(Method.PROVIDER)


def _is_signed_in_anew(profile: ProviderProfile, attempt: Attempt) -> bool:
    """Return whether the person has signed in at the provider since ``attempt`` began.

    The URL of the provider requests a new sign-in (``prompt``, ``max_age``). This is not
    sufficient, because the person can remove these parameters from the URL.
    """
    at = profile.signed_in_at
    return at is not None and at >= attempt.began_at - CLOCK_SKEW


class NoNewAccounts(SignupClosed):
    """The external identity belongs to no account, and sign-up is closed."""

    message = _(
        "Sign-up is closed, and the account that you signed in with isn’t connected to an account "
        "on this site."
    )


class NotInvited(NoNewAccounts):
    """The external identity belongs to no account, and its email address is not invited."""

    message = _(
        "You need an invitation to sign up. The account that you signed in with isn’t connected to"
        " an account on this site, and nobody has invited its email address."
    )


class LockedAccountIdentity(PublicError):
    """The account is locked, or this external identity is suspended because of an earlier lock."""

    code = "locked_down"
    status = 403
    message = _(
        "This account was locked. Reset your password by email to unlock it, then "
        "review what the lock put aside."
    )

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.identity = identity
        self.proof = Proof.now(Method.PROVIDER, str(identity.pk))


class ConnectedElsewhere(PublicError):
    """The external identity is connected with another account."""

    code = "connected_elsewhere"
    message = _("That account is already connected to another account on this site.")


class NoWayBack(PublicError):
    """The account has no email address, so the user could not recover it after a lock."""

    code = "no_way_back"
    message = _(
        "Add an email address before you disconnect this way to sign in. Without an email address,"
        " you won’t be able to unlock your account if it’s ever locked."
    )


class OnlyProviderLeft(LastWayIn):
    """The external identity is the only remaining way to sign in to the account."""

    message = _("This is your only way to sign in. Set a password or add a passkey first.")


def user_of(profile: ProviderProfile, client: ClientInfo) -> User:
    """Return the user who is connected with ``profile``, or create a user for it.

    Raises:
        EmailTaken: the verified email address belongs to an account that is not connected with
            ``profile``. To connect them, the person must sign in to that account. The error may
            reveal that the account exists, because the person owns the mailbox.
        NoNewAccounts: the external identity belongs to no account, and sign-up is closed or needs
            an invitation.
        LockedAccountIdentity: the account is locked, or the identity is suspended.
        RateLimited: there were too many sign-ups.
    """
    if identity := users_models.find_identity(profile.issuer, profile.subject):
        return _known(identity, Actor(client).by(Method.PROVIDER))
    try:
        return _newcomer(profile, client)
    except (users.EmailTaken, IntegrityError):
        # A parallel request may have just created the account.
        if identity := users_models.find_identity(profile.issuer, profile.subject):
            return _known(identity, Actor(client).by(Method.PROVIDER))
        raise


def owner_of(profile: ProviderProfile) -> User | None:
    """Return the user whose email address is the verified one of ``profile``, or None."""
    key = emails.key(profile.verified_email)
    row = EmailAddress.objects.select_related("user").filter(key=key).first()
    return row.user if row else None


def connect(user: User, profile: ProviderProfile, actor: Actor) -> bool:
    """Connect the identity of ``profile`` with ``user``; return False if nothing changed.

    If the identity is already connected with ``user`` but suspended, it is restored. A new
    connection revokes every other session of the user.

    Raises:
        ConnectedElsewhere: the identity is connected with another account.
        AccountChanged: the account was changed meanwhile, or the session of ``actor`` was
            revoked.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        sessions.lock(actor.session)
        if identity := users_models.find_identity(profile.issuer, profile.subject):
            if identity.user_id != owner.pk:
                raise ConnectedElsewhere
            return bool(identity.suspended_at) and suspension.put_back_identity(
                user, identity.pk, actor
            )
        try:
            with transaction.atomic():
                identity = _identity(owner, profile)
        except IntegrityError:
            raise ConnectedElsewhere from None
        _tell(owner, events.PROVIDER_CONNECTED, actor, identity)
    return True


def disconnect(user: User, identity_id: str, actor: Actor) -> bool:
    """Disconnect the identity with ``identity_id``; return False if ``user`` has no such identity.

    Raises:
        OnlyProviderLeft: the identity is the only remaining way to sign in.
        NoWayBack: the account has no email address, so the user could not recover it after a
            lock.
        AccountChanged: the account was changed meanwhile.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        mine = {str(row.pk): row for row in users_models.of(owner)}
        identity = mine.get(identity_id)
        if identity is None:
            return False
        if refusal := refusal_of_removal(owner, identity):
            raise refusal
        identity.delete()
        _tell(owner, events.PROVIDER_DISCONNECTED, actor, identity)
    return True


def refusal_of_removal(user: User, identity: Identity) -> PublicError | None:
    """Return the error if the user could not sign in or recover the account without ``identity``.

    An emailed code does not count as another way to sign in, because access to a mailbox is a
    weaker proof than the identity.
    """
    others = [row for row in users_models.usable(user) if row.pk != identity.pk]
    if others or not identity.configured:
        return None
    if not (user.has_usable_password() or twofactor.has_passkey(user)):
        return OnlyProviderLeft()
    return None if user.email else NoWayBack()


def _known(identity: Identity, actor: Actor) -> User:
    user: User = identity.user
    if identity.suspended_at or user.lock or (user.is_locked_down and user.email):
        record(user, events.SIGN_IN_FAILED, actor, detail=Failure.LOCKED)
        raise LockedAccountIdentity(identity)
    if user.is_locked_down and user.is_active:
        # ``after_restore`` has locked the account, which has no email address for a reset.
        users.unlock(user)
    users_models.note_use(identity)
    return user


def _newcomer(profile: ProviderProfile, client: ClientInfo) -> User:
    if profile.verified_email and owner_of(profile):
        raise users.EmailTaken
    if settings.AUTHSITE.signup == "closed":
        raise NoNewAccounts
    hit(*of_sign_up(client))
    return _sign_up(profile, client)


@transaction.atomic
def _sign_up(profile: ProviderProfile, client: ClientInfo) -> User:
    """Create a user without a password.

    Only a verified email address is stored. Pending sign-ups with that email address are deleted,
    so that the people who began them get no access to the account (CVE-2026-53516).

    Raises:
        NotInvited: sign-up needs an invitation, and no verified email address is invited.
    """
    mail_name = profile.verified_email.partition("@")[0]
    suggestions = (profile.username, profile.name, mail_name, "user")
    wanted = next(name for text in suggestions if (name := usernames.suggest(text)))
    if profile.verified_email:
        # This comes before the choice of a username, which a pending sign-up of the person may
        # have.
        users.delete_signups_for(profile.verified_email)
    username = users.take_similar_username(wanted)
    user = users.create_user(username, make_password(None), language=spoken())
    user.display_name = _display_name(profile.name)
    user.save(update_fields=["display_name"])
    if profile.verified_email:
        users.confirm_email(user, profile.verified_email)
    is_invited = invitations.accept(user, profile.verified_email)
    if settings.AUTHSITE.signup == "invite" and not is_invited:
        raise NotInvited
    identity = _identity(user, profile)
    record(user, events.SIGNED_UP, Actor(client).by(Method.PROVIDER), detail=str(identity))
    return user


def _identity(user: User, profile: ProviderProfile) -> Identity:
    return Identity.objects.create(
        user=user,
        issuer=profile.issuer,
        subject=profile.subject,
        label=profile.label[:LONGEST_LABEL],
    )


def _display_name(name: str) -> str:
    try:
        users_forms.refuse_blank(name)
    except ValidationError:
        return ""
    return users_forms.canonical(name)[: users_forms.DISPLAY_NAME_LENGTH]


def _tell(user: User, event: Event, actor: Actor, identity: Identity) -> None:
    credentials_changed.send(
        User,
        user=user,
        event=event.name,
        actor=actor,
        detail=str(identity),
        keep=actor.session,
    )


LINK_KEY = "provider_profile"
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class PendingLink:
    """A provider profile that will be connected with an account when the user confirms.

    ``next_url``: the page to open afterwards.
    ``begun_by``: the id of the user who was signed in when the connection began. If it is empty,
        only the user who has the verified email address of the profile may confirm.
    """

    profile: ProviderProfile
    next_url: str
    begun_by: str

    def is_for(self, user: User) -> bool:
        """Return whether ``user`` may confirm the connection."""
        if self.begun_by:
            return self.begun_by == str(user.pk)
        return owner_of(self.profile) == user


def store(
    request: HttpRequest, profile: ProviderProfile, next_url: str, begun_by: str = ""
) -> None:
    """Store a pending link in this browser's session data; it replaces any earlier one."""
    facts = {**asdict(profile), "signed_in_at": None}
    until = (clock.now() + LIFE).timestamp()
    data = {"profile": facts, "next": next_url, "by": begun_by, "until": until}
    request.session[LINK_KEY] = data


def find_pending_link(request: HttpRequest) -> PendingLink | None:
    """Return the pending link of this browser; None if there is none or it has expired."""
    data = request.session.get(LINK_KEY)
    if not data or data["until"] <= clock.now().timestamp():
        return None
    return PendingLink(ProviderProfile(**data["profile"]), data["next"], data["by"])


def discard(request: HttpRequest) -> None:
    """Delete the pending link of this browser, if there is one."""
    request.session.pop(LINK_KEY, None)


def find_provider(key: str) -> "Provider | None":
    """Return the provider with this key, or None if the settings have no credentials for it."""
    issuer = next((issuer for issuer in settings.AUTHSITE.issuers if issuer.key == key), None)
    if issuer is None:
        return None
    from accounts.social.providers import CLASSES, OpenID  # noqa: PLC0415 the HTTP client takes 5 MB

    return CLASSES.get(key, OpenID)(issuer)


def name_of(issuer: str) -> str | None:
    """Return the name of the configured provider with the issuer identifier ``issuer``."""
    return {known.issuer: known.name for known in settings.AUTHSITE.issuers}.get(issuer)


class ProviderConverter:
    """Converts the key of a configured provider, such as ``google`` or ``oidc/acme``."""

    regex = "[a-z0-9_]+|oidc/[a-z0-9-]+"

    def to_python(self, value: str) -> "Provider":
        """Return the configured provider with the key ``value``.

        Raises:
            ValueError: no such provider is configured, so the URL does not match.
        """
        if (provider := find_provider(value)) is None:
            raise ValueError
        return provider

    def to_url(self, value: str) -> str:
        return value
