"""Decides whether a sign-in at a provider counts as reauthentication on this site."""

from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from accounts.activity.services import Actor
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.sessions import guesses
from accounts.signin import policy
from accounts.social.attempts import Attempt
from accounts.social.provider_profile import ProviderProfile
from accounts.users import identities
from accounts.users.models import User

# How far a provider's clock may be behind ours.
CLOCK_SKEW = timedelta(minutes=1)


class NotYours(PublicError):
    """The person reauthenticated with an external identity that the account is not connected to."""

    code = "not_yours"
    status = 403
    message = _("The account that you just signed in with isn’t connected to your account here.")


class NotAccepted(PublicError):
    """The authentication policy does not let this user reauthenticate at this provider."""

    code = "not_accepted"
    status = 403
    message = _("Choose another way to confirm that it’s you.")


class NotSignedInAnew(PublicError):
    """The person did not have to sign in again at the provider.

    The provider may have accepted an earlier sign-in in the same browser. By now, somebody else may
    be using that browser.
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


def prove(user: User, profile: ProviderProfile, attempt: Attempt, actor: Actor) -> Proof:
    """Return the proof that ``user`` has reauthenticated at the provider of ``attempt``.

    Raises:
        NotYours: ``profile`` belongs to another account or to none, or is suspended.
        NotAccepted: the authentication policy does not let ``user`` reauthenticate at this
            provider.
        NotSignedInAnew: the sign-in at the provider is older than ``attempt``, or the provider
            does not say when the person signed in, although it normally does.
    """
    identity = identities.find(profile.issuer, profile.subject)
    if identity is None or identity.user_id != user.pk or identity.suspended_at:
        guesses.record_failed_proof(user, actor)
        raise NotYours
    identities.note_use(identity)
    issuer = next((row for row in policy.provers(user) if row.key == attempt.provider), None)
    if issuer is None:
        raise NotAccepted
    if issuer.tells_when and not _is_signed_in_anew(profile, attempt):
        raise NotSignedInAnew(issuer.name)
    return Proof.now(Method.PROVIDER)


def _is_signed_in_anew(profile: ProviderProfile, attempt: Attempt) -> bool:
    """Return whether the person has signed in at the provider since ``attempt`` began.

    The URL of the provider asks for a new sign-in (``prompt``, ``max_age``). That is not enough,
    because the person at the browser can remove these parameters from the URL.
    """
    at = profile.signed_in_at
    return at is not None and at >= attempt.began_at - CLOCK_SKEW
