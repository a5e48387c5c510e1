"""Creates sessions. No other module signs users in, neither in a browser nor to the API."""

from dataclasses import dataclass

from django.contrib import auth, messages
from django.db import transaction
from django.http import HttpRequest
from django.middleware.csrf import rotate_token
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.database import P, PreparedUpdate
from accounts.common.localization import listed
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.mail import services as mail
from accounts.sessions import current, known_browsers
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.users.models import User
from accounts.users.services import AccountChanged

# The methods that people use in the first sign-in after creating an account.
BY_SIGNING_UP = {Method.MAIL, Method.OPERATOR, Method.PROVIDER}

_NOTE_LOGIN = PreparedUpdate(
    lambda: User.objects.filter(pk=P("user"), is_active=True, credential_version=P("version")),
    last_login=P("now"),
)


@dataclass(frozen=True)
class CompletedSignIn:
    """A sign-in for which a session is to be created.

    ``user``: the user as read from the database before the proofs were checked.
    ``proofs``: the proofs that the user has shown.
    ``remember``: whether the session outlives the browser.
    """

    user: User
    proofs: tuple[Proof, ...]
    remember: bool = False


class PolicyNotMet(Exception):
    """A bug: a caller tried to create a session, but the policy requires another proof or step."""


@transaction.atomic
def establish_session(request: HttpRequest, sign_in: CompletedSignIn) -> None:
    """Sign in ``sign_in.user``: create a session under a new session key, in one transaction.

    The policy is evaluated here again, so that no caller can forget it. A sign-in and a change of
    the account write to the same row, so the later transaction notices the earlier one.

    Raises:
        PolicyNotMet: the policy requires another proof or step.
        AccountChanged: the account was changed or deactivated after the proofs were checked.
    """
    user = sign_in.user
    # The browser that signed up is new, but no notice about a new browser is needed.
    methods = {proof.method for proof in sign_in.proofs}
    is_first = user.last_login is None and methods & BY_SIGNING_UP
    _decide(sign_in)
    if former := current.browser_session_of(request).login_session:
        sessions.revoke(former)
        # ``revoke`` deleted the session data, and Django's ``login`` keeps the key of the user.
        request.session.cycle_key()
    auth.login(request, user)
    session = sessions.create(
        user,
        sign_in.proofs,
        client_of(request),
        is_remembered=sign_in.remember,
        stepped_up_at=policy.stepped_up_at(user, sign_in.proofs),
    )
    current.set_session(request, session)
    request.session.set_expiry(None if sign_in.remember else 0)
    request.session.save()
    of_new = events.SIGNED_IN if is_first else events.SIGNED_IN_NEW
    event = _event(request, session, events.SIGNED_IN, of_new=of_new)
    actor = current.actor_of(request).by(*session.amr)
    provider = next((p.key for p in sign_in.proofs if p.method is Method.PROVIDER), "")
    record(user, event, actor, detail=provider)
    sessions.make_room(user, session, actor)
    if headings := mail.failed_notices([user.email]):
        sentence = _("We couldn’t email you about this: %(headings)s. Is your email address right?")
        messages.warning(request, sentence % {"headings": listed(headings, ";")})


@transaction.atomic
def establish_api_session(
    sign_in: CompletedSignIn, session: LoginSession, client: ClientInfo
) -> None:
    """Sign in ``sign_in.user`` with an API client: save the new ``session``.

    The user is notified of the first sign-in from each network and kind of client.

    Raises:
        PolicyNotMet: the policy requires another proof or step.
        AccountChanged: the account was changed or deactivated after the proofs were checked.
    """
    _decide(sign_in)
    session.stepped_up_at = policy.stepped_up_at(sign_in.user, sign_in.proofs)
    sessions.insert.run(session)
    event = known_browsers.note_client(client, sign_in.user)
    actor = Actor(client, session=session.pk).by(*session.amr)
    record(sign_in.user, event, actor)
    sessions.make_room(sign_in.user, session, actor)


def _event(request: HttpRequest, session: LoginSession, usual: Event, *, of_new: Event) -> Event:
    """Record the browser and the network of the user; return the event that describes them.

    The event is ``of_new`` for a new browser, ``SIGNED_IN_NETWORK`` for a known browser in a new
    network, and ``usual`` otherwise.
    """
    if not known_browsers.note_sign_in(
        request, session.user, has_factor=session.factor_at is not None
    ):
        return of_new
    return events.SIGNED_IN_NETWORK if known_browsers.note_network(request, session.user) else usual


def _decide(sign_in: CompletedSignIn) -> None:
    """Check the policy and the state of the account, and set ``last_login``.

    Raises:
        PolicyNotMet: the policy requires another proof or step.
        AccountChanged: the account was changed or deactivated after the proofs were checked.
    """
    user = sign_in.user
    if policy.next_requirement(user, sign_in.proofs) is not None:
        raise PolicyNotMet
    if not _NOTE_LOGIN.run(user=user.pk, version=user.credential_version, now=clock.now()):
        raise AccountChanged


@transaction.atomic
def record_reauthentication(request: HttpRequest, session: LoginSession, proof: Proof) -> None:
    """Record that the user of ``session`` has shown ``proof``, and renew the session key.

    If this is not the browser that signed in, the user is notified of a new browser or network.
    """
    is_same = current.request_auth_of(request).session is not None
    steps_up = policy.steps_up(session, proof)
    sessions.record_reauthentication(session, proof, client_of(request), steps_up=steps_up)
    if proof.method in FACTORS:
        known_browsers.note_factor(client_of(request), session.user)
    current.renew_key(request)
    rotate_token(request)
    current.set_session(request, session)
    event = events.PROOF_GIVEN
    if not is_same:
        event = _event(request, session, event, of_new=events.BROWSER_PROVED)
    record(session.user, event, current.actor_of(request).by(proof.method))


@transaction.atomic
def record_api_reauthentication(session: LoginSession, proof: Proof, client: ClientInfo) -> None:
    """Record that the user of ``session`` has shown ``proof`` to an API client.

    The expiry of the session does not change, and no token is issued.
    """
    steps_up = policy.steps_up(session, proof)
    sessions.record_reauthentication(session, proof, client, steps_up=steps_up)
    actor = Actor(client, session=session.pk).by(proof.method)
    record(session.user, events.PROOF_GIVEN, actor)


@transaction.atomic
def sign_out(request: HttpRequest) -> None:
    """Sign out: revoke the session on the server, so that a copy of its cookie is useless."""
    session = current.browser_session_of(request).login_session
    if session:
        actor = current.actor_of(request)
        sessions.revoke(session, reason=events.SIGNED_OUT, actor=actor)
    auth.logout(request)
    current.clear_session(request)
