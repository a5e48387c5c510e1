"""Whom a provider's word signs in, and what connects an account to one: the linking policy.

Written out in docs/decisions/0016-external-providers.md.
"""

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Source, record
from accounts.common.errors import PublicError
from accounts.common.languages import spoken
from accounts.common.places import Place
from accounts.common.proofs import Method, Proof
from accounts.common.signals import credentials_changed
from accounts.identities import services as identities
from accounts.identities.models import LONGEST_LABEL, Identity
from accounts.recovery import suspension
from accounts.sessions import guesses
from accounts.sessions import services as sessions
from accounts.social.claims import Claim
from accounts.throttle.limits import SIGNUP_EVERYONE, SIGNUP_NETWORK
from accounts.throttle.services import around, spend
from accounts.twofactor import services as twofactor
from accounts.users import addresses, names, profiles
from accounts.users import services as users
from accounts.users.models import Address, User


class AddressInUse(PublicError):
    """The provider has verified an address that is an account's: whoever hears it reads its mail.

    Nothing is connected: that takes a sign-in to the account.
    """

    code = "email_taken"
    message = _("That email address belongs to another account.")


class NoNewAccounts(PublicError):
    """Whoever runs the site takes no strangers."""

    code = "signup_closed"
    status = 403
    message = _("This site takes no new accounts, and nobody here is connected with that sign-in.")


class LockedDown(PublicError):
    """The account is locked, or the lock suspended this external identity."""

    code = "locked_down"
    status = 403
    message = _(
        "This account was locked. Set a new password by email to open it again, then review what "
        "was suspended."
    )

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.identity = identity
        self.proof = Proof.now(Method.PROVIDER, str(identity.pk))


class ConnectedElsewhere(PublicError):
    """An identity is one person's."""

    code = "connected_elsewhere"
    message = _("That sign-in is connected with another account here.")


class NotYours(PublicError):
    """Somebody has signed in there who is not who is signed in here."""

    code = "not_yours"
    status = 403
    message = _("You signed in there as somebody whose sign-in isn’t connected with this account.")


class NoWayBack(PublicError):
    """Without an address, nothing else would open the account after a lockdown."""

    code = "no_way_back"
    message = _(
        "Add an email address first: without one, nothing else leads back after a lockdown."
    )


class LastWayIn(PublicError):
    """Nothing else opens the account."""

    code = "last_way_in"
    message = _("Nothing else opens your account. Set a password first, or add a passkey.")


def user_of(claim: Claim, place: Place) -> User:
    """Who ``claim`` signs in: whose identity it is, or a new account.

    :class:`AddressInUse`, :class:`NoNewAccounts`, :class:`LockedDown`, ``Later``.
    """
    if identity := identities.find(claim.issuer, claim.subject):
        return _known(identity, Source(place).by(Method.PROVIDER))
    try:
        return _newcomer(claim, place)
    except (AddressInUse, IntegrityError):
        # The same person may have come twice at once, and have the address by now.
        if identity := identities.find(claim.issuer, claim.subject):
            return _known(identity, Source(place).by(Method.PROVIDER))
        raise


def owner_of(claim: Claim) -> User | None:
    """Whose address the provider has verified."""
    key = addresses.key(claim.verified_address)
    row = Address.objects.select_related("user").filter(key=key).first()
    return row.user if row else None


def connect(user: User, claim: Claim, source: Source) -> bool:
    """Let the identity of ``claim`` open the account of ``user``; whether it is new.

    Every other sign-in ends. :class:`ConnectedElsewhere`, ``AccountChanged``: also if the sign-in
    of ``source`` was ended while the provider was asked.
    """
    with transaction.atomic():
        owner = users.hold(user)
        sessions.hold(source.session)
        if identity := identities.find(claim.issuer, claim.subject):
            if identity.user_id != owner.pk:
                raise ConnectedElsewhere
            return bool(identity.suspended_at) and suspension.put_back_identity(
                user, identity.pk, source
            )
        try:
            with transaction.atomic():
                identity = _identity(owner, claim)
        except IntegrityError:
            raise ConnectedElsewhere from None
        _tell(owner, events.PROVIDER_CONNECTED, source, identity)
    return True


def disconnect(user: User, identity_id: str, source: Source) -> bool:
    """Take an identity from ``user``; whether it was there.

    :class:`LastWayIn`, :class:`NoWayBack`, ``AccountChanged``.
    """
    with transaction.atomic():
        owner = users.hold(user)
        mine = {str(row.pk): row for row in identities.of(owner)}
        identity = mine.get(identity_id)
        if identity is None:
            return False
        refuse_removal(owner, identity)
        identity.delete()
        _tell(owner, events.PROVIDER_DISCONNECTED, source, identity)
    return True


def refuse_removal(user: User, identity: Identity) -> None:
    """Raise what forbids taking ``identity`` away: :class:`LastWayIn` or :class:`NoWayBack`.

    A mailed code opens the account, but isn't counted: a mailbox alone is less than what goes.
    """
    others = [row for row in identities.usable(user) if row.pk != identity.pk]
    if others or not identity.configured:
        return
    if not (user.has_usable_password() or twofactor.has_passkey(user)):
        raise LastWayIn
    if not user.email:
        raise NoWayBack


def prove(user: User, claim: Claim, source: Source) -> None:
    """That ``claim`` is of ``user``; :class:`NotYours`."""
    identity = identities.find(claim.issuer, claim.subject)
    if identity is None or identity.user_id != user.pk or identity.suspended_at:
        guesses.record_failed_proof(user, source)
        raise NotYours
    identities.note_use(identity)


def _known(identity: Identity, source: Source) -> User:
    user: User = identity.user
    if identity.suspended_at or user.is_disputed or (user.is_locked_down and user.email):
        record(user, events.SIGN_IN_FAILED, source)
        raise LockedDown(identity)
    if user.is_locked_down and user.is_active:
        # Locked without a dispute, and no mail could open it: a restored backup.
        users.unlock(user)
    identities.note_use(identity)
    return user


def _newcomer(claim: Claim, place: Place) -> User:
    if claim.verified_address and owner_of(claim):
        raise AddressInUse
    if settings.AUTHSITE.signup != "open":
        raise NoNewAccounts
    spend(*around(SIGNUP_NETWORK, place), (SIGNUP_EVERYONE,))
    try:
        return _sign_up(claim, place)
    except users.AddressTaken:
        raise AddressInUse from None


@transaction.atomic
def _sign_up(claim: Claim, place: Place) -> User:
    """A user without a password. Only a verified address becomes theirs, and ends the sign-ups
    that wait for it: whoever began one gets nothing (CVE-2026-53516)."""
    suggestions = (claim.username, claim.name, claim.verified_address.partition("@")[0], "user")
    wanted = next(name for text in suggestions if (name := names.suggest(text)))
    if claim.verified_address:
        # Before the name is looked for: perhaps it's held by a sign-up of the same person.
        users.end_pending_at(claim.verified_address)
    username = users.hold_like(wanted)
    user = users.create_user(username, make_password(None), language=spoken())
    user.display_name = _display_name(claim.name)
    user.save(update_fields=["display_name"])
    if claim.verified_address:
        users.confirm_address(user, claim.verified_address)
    identity = _identity(user, claim)
    record(user, events.SIGNED_UP, Source(place).by(Method.PROVIDER), detail=str(identity))
    return user


def _identity(user: User, claim: Claim) -> Identity:
    return Identity.objects.create(
        user=user,
        issuer=claim.issuer,
        subject=claim.subject,
        label=claim.label[:LONGEST_LABEL],
    )


def _display_name(name: str) -> str:
    try:
        profiles.refuse_blank(name)
    except ValidationError:
        return ""
    return profiles.canonical(name)[: profiles.DISPLAY_NAME_LENGTH]


def _tell(user: User, event: Event, source: Source, identity: Identity) -> None:
    credentials_changed.send(
        User,
        user=user,
        event=event.name,
        source=source,
        detail=str(identity),
        keep=source.session,
    )
