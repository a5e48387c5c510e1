"""Decides what an authorization request still requires, and which granted scopes an app may use.

The decision depends only on the stored request, the session and the account. Therefore nothing that
a browser sends later, and no page that a person skips, can weaken it.

Staff may change an app after people have signed in to it. Therefore a code or refresh token gives
only what the app may request when it is used.
"""

from collections.abc import Collection
from datetime import timedelta
from enum import Enum, auto

from django.conf import settings

from accounts.common import clock
from accounts.common.proofs import Assurance
from accounts.oauth import connections
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.connections import subject_of
from accounts.oauth.models import AuthorizationRequest
from accounts.oauth.protocol import OAuthError
from accounts.oauth.scopes import API_SCOPES, SCOPES, is_sensitive, of_service
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.twofactor import services as twofactor
from accounts.users.models import User


class Step(Enum):
    """The next step of an authorization request."""

    # The app is disabled, or the operator does not name the host of its document any more.
    DISABLED = auto()
    SIGN_IN = auto()
    # The person must authenticate again, because the authentication of the session is too old or
    # lacks the factor that ``factor_for`` returns.
    REAUTHENTICATE = auto()
    # The person has no factor of the required kind and must add one.
    ENROL = auto()
    # The factor that the person has used is too new to count.
    NEW_FACTOR = auto()
    # The person is not in the group that the app requires.
    FORBIDDEN = auto()
    SELECT_ACCOUNT = auto()
    # The app requests another account than the one that is signed in.
    OTHER_ACCOUNT = auto()
    # The person must authenticate again before the consent page.
    CONFIRM = auto()
    CONSENT = auto()
    GRANTED = auto()


# The errors that the app gets instead of a page if the request has ``prompt=none`` (OpenID Connect
# Core section 3.1.2.6).
ERRORS = {
    Step.SIGN_IN: "login_required",
    Step.REAUTHENTICATE: "login_required",
    Step.ENROL: "interaction_required",
    Step.NEW_FACTOR: "interaction_required",
    Step.FORBIDDEN: "access_denied",
    Step.SELECT_ACCOUNT: "account_selection_required",
    Step.OTHER_ACCOUNT: "login_required",
    Step.CONFIRM: "consent_required",
    Step.CONSENT: "consent_required",
}


def decide(
    asked: AuthorizationRequest, session: LoginSession | None, *, is_opening: bool = True
) -> Step:
    """Return the next step of the request ``asked``; ``GRANTED`` if nothing more is required.

    ``session``: the session of the browser; None if nobody is signed in there.
    ``is_opening``: True before the consent page is shown, False when it is answered.
    """
    if asked.client.disabled_at or uris.is_withdrawn(asked.client_id):
        return Step.DISABLED
    if session is None:
        return Step.SIGN_IN
    if asked.subject and asked.subject != subject_of(asked.client, session.user):
        return Step.OTHER_ACCOUNT
    if not _is_recent(asked, session):
        return Step.REAUTHENTICATE
    factor = factor_for(asked, session.user)
    if not _holds(session.user, factor):
        return Step.ENROL
    if not _has_shown_any(session, factor):
        return Step.REAUTHENTICATE
    if not has_shown(session, factor):
        return Step.NEW_FACTOR
    if not is_member(asked.client, session.user):
        return Step.FORBIDDEN
    if _must_choose(asked, session):
        return Step.SELECT_ACCOUNT
    if not _must_consent(asked, session.user):
        return Step.GRANTED
    # A thief of an old cookie must not be able to get tokens for thirty days.
    may_agree = not is_sensitive(asked.scope.split()) or policy.is_recent(
        session, is_opening=is_opening
    )
    return Step.CONSENT if may_agree else Step.CONFIRM


def factor_for(asked: AuthorizationRequest, user: User) -> Client.Factor:
    """Return the kind of second factor that ``user`` must have shown in the session.

    The factor that the app requires takes precedence. If it requires none, any second factor is
    required if the request demands two steps, or if the user has one and the first of
    ``acr_values`` asks for two steps. An app cannot demand two steps by ``acr_values`` (OpenID
    Connect Core section 3.1.2.1).
    """
    required, values = asked.client.required_factor, asked.acr_values.split()
    if required:
        return required
    if asked.requires_acr and Assurance.ONE_STEP not in values:
        return Client.Factor.ANY
    prefers_two_steps = values[:1] == [Assurance.TWO_STEPS]
    return Client.Factor.ANY if prefers_two_steps and twofactor.has_any(user) else required


def has_shown(session: LoginSession, factor: Client.Factor) -> bool:
    """Return whether the user of ``session`` has shown a second factor of the kind ``factor``.

    A new factor does not count (:func:`policy.stepped_up_at`).
    """
    is_new = factor is not Client.Factor.NONE and session.has_new_factor
    return _has_shown_any(session, factor) and not is_new


def _has_shown_any(session: LoginSession, factor: Client.Factor) -> bool:
    if factor is Client.Factor.PASSKEY:
        return session.passkey_at is not None
    return factor is Client.Factor.NONE or session.factor_at is not None


def is_member(client: Client, user: User) -> bool:
    """Return whether ``user`` is in the required group of ``client``; True if it requires none."""
    group = client.required_group_id
    return group is None or user.groups.filter(pk=group).exists()


def _is_recent(asked: AuthorizationRequest, session: LoginSession) -> bool:
    """Return whether the person authenticated as recently as ``prompt`` and ``max_age`` demand.

    An authentication after the request began is always recent enough.
    """
    if session.auth_time >= asked.made_at:
        return True
    if "login" in asked.prompts.split():
        return False
    age = clock.now() - session.auth_time
    return asked.max_age is None or age <= timedelta(seconds=asked.max_age)


def _holds(user: User, factor: Client.Factor) -> bool:
    """Return whether ``user`` currently has a factor of the kind ``factor``.

    The factor that was shown in the session may have been removed meanwhile.
    """
    if factor is Client.Factor.PASSKEY:
        return twofactor.has_passkey(user)
    return factor is Client.Factor.NONE or twofactor.has_any(user)


def _must_choose(asked: AuthorizationRequest, session: LoginSession) -> bool:
    """Return whether the person must choose an account.

    Signing in after the request began counts as choosing the account.
    """
    has_chosen = asked.chosen == session.pk or session.begun_at >= asked.made_at
    return "select_account" in asked.prompts.split() and not has_chosen


def _must_consent(asked: AuthorizationRequest, user: User) -> bool:
    """Return whether ``user`` must agree to the access that the app gets.

    An earlier agreement does not count in three cases. Any program on the device can receive what
    is sent to an unclaimed redirect URI, so the agreement may have been with another program (RFC
    8252 section 8.6). The redirect URIs of an app with a metadata document may have changed. The
    developers of an app in development change what it does.
    """
    changes = asked.client.is_development or asked.client.source == Client.Source.DOCUMENT
    if changes or not uris.is_claimed(asked.redirect_uri):
        return True
    if asked.client.is_first_party:
        return False
    return "consent" in asked.prompts.split() or not connections.covers(asked, user)


OFFLINE = "offline_access"


def remaining(
    client: Client, session: LoginSession, scope: Collection[str], audience: str
) -> frozenset[str]:
    """Return the scopes of ``scope`` that ``client`` may currently use in tokens for ``audience``.

    ``session``: the session of the user, with the methods of authentication.

    Raises:
        OAuthError: ``invalid_grant``: the client may use none, or the user has not shown the
            factor or is not in the group that the client requires now.
    """
    may_use = client.may_use(audience)
    defined = {*SCOPES, *of_service(audience)}
    held = frozenset(scope).intersection(client.scope.split(), defined)
    if not may_use:
        held -= API_SCOPES
    is_allowed = held and (may_use or audience == settings.AUTHSITE.origin)
    has_factor = has_shown(session, client.required_factor)
    if is_allowed and has_factor and is_member(client, session.user):
        return held
    sentence = "The client may not use the granted scopes, or the user lacks what it requires."
    raise OAuthError("invalid_grant", sentence)


def check_audience(sent: dict[str, str], audience: str) -> None:
    """Require that ``resource``, if it is sent, is the granted service ``audience`` (RFC 8707).

    Raises:
        OAuthError: ``invalid_target``: it is another service.
    """
    if sent.get("resource", audience) != audience:
        raise OAuthError("invalid_target", "The grant is for another resource.")
