"""Makes sessions: the only module that signs anybody in, in a browser or over the API."""

from dataclasses import dataclass

from django.contrib import auth
from django.db import transaction
from django.http import HttpRequest
from django.middleware.csrf import rotate_token

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.sessions import current, known
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.users.models import User
from accounts.users.services import AccountChanged

# What whoever has just made an account has shown.
BY_SIGNING_UP = {Method.MAIL, Method.OPERATOR, Method.PROVIDER}


@dataclass(frozen=True)
class CompletedSignIn:
    """The user who signs in, the proofs, and whether the session outlives the browser.

    ``user`` is as it was read before the proofs were checked against it.
    """

    user: User
    proofs: tuple[Proof, ...]
    remember: bool = False


class PolicyNotMet(Exception):
    """Code tried to make a session although something is still required: a bug of this site."""


@transaction.atomic
def establish_session(request: HttpRequest, sign_in: CompletedSignIn) -> None:
    """Sign ``sign_in.user`` in: store a session under a new key, in this transaction.

    The policy is asked here too, so that no caller can forget it. A change of the account or a lock
    writes to the same row of the user: one of the two comes first, and the other sees it.

    Raises:
        PolicyNotMet, AccountChanged: see ``_decide``.
    """
    user = sign_in.user
    # Who has just signed up has only this browser, and knows of it.
    methods = {proof.method for proof in sign_in.proofs}
    is_first = user.last_login is None and methods & BY_SIGNING_UP
    _decide(sign_in)
    if former := current.session_of(request).login:
        sessions.close(former)
        # What the browser had stored went with it; Django gives the same person no new key.
        request.session.cycle_key()
    auth.login(request, user)
    login = sessions.begin(user, sign_in.proofs, client_of(request), is_remembered=sign_in.remember)
    current.enter(request, login)
    request.session.set_expiry(None if sign_in.remember else 0)
    request.session.save()
    of_new = events.SIGNED_IN if is_first else events.SIGNED_IN_NEW
    event = _event(request, login, events.SIGNED_IN, of_new=of_new)
    actor = current.actor_of(request).by(*login.amr)
    record(user, event, actor)
    sessions.make_room(user, login, actor)


@transaction.atomic
def establish_api_session(
    sign_in: CompletedSignIn, login: LoginSession, client: ClientInfo
) -> None:
    """Sign ``sign_in.user`` in with a client of the API: store ``login``, made for it.

    As :func:`admit`. The owner hears of the first sign-in from each place.
    """
    _decide(sign_in)
    login.save(force_insert=True)
    is_known = known.meet_client(client, sign_in.user)
    event = events.CLIENT_SIGNED_IN if is_known else events.CLIENT_SIGNED_IN_NEW
    actor = Actor(client, session=login.pk).by(*login.amr)
    record(sign_in.user, event, actor)
    sessions.make_room(sign_in.user, login, actor)


def _event(request: HttpRequest, login: LoginSession, usual: Event, *, of_new: Event) -> Event:
    """Return the event to record: ``usual``, or that the browser or its network is new."""
    if not known.meet(request, login.user, has_factor=login.factor_at is not None):
        return of_new
    return events.SIGNED_IN_NETWORK if known.meet_network(request, login.user) else usual


def _decide(sign_in: CompletedSignIn) -> None:
    """Ask the policy for the last time, and note the sign-in in the row of the user.

    Raises:
        PolicyNotMet: something is still required.
        AccountChanged: the account was deactivated or its credentials changed since they were
        checked.
    """
    user = sign_in.user
    if policy.missing(user, sign_in.proofs) is not None:
        raise PolicyNotMet
    as_checked = User.objects.filter(
        pk=user.pk, is_active=True, credential_version=user.credential_version
    )
    if not as_checked.update(last_login=clock.now()):
        raise AccountChanged


@transaction.atomic
def record_reauthentication(request: HttpRequest, login: LoginSession, proof: Proof) -> None:
    """Note that who is signed in has proved it again; the session's key changes.

    If another browser has, the owner hears of it as of a sign-in.
    """
    is_same = current.standing_of(request).login is not None
    sessions.prove(login, proof, client_of(request))
    if proof.method in FACTORS:
        known.note_factor(client_of(request), login.user)
    current.renew_key(request)
    rotate_token(request)
    current.enter(request, login)
    event = events.PROOF_GIVEN
    if not is_same:
        event = _event(request, login, event, of_new=events.BROWSER_PROVED)
    record(login.user, event, current.actor_of(request).by(proof.method))


@transaction.atomic
def sign_out(request: HttpRequest) -> None:
    """End the session, on the server too: a copy of its cookie is dead."""
    login = current.session_of(request).login
    actor = current.actor_of(request)
    if login and sessions.close(login):
        record(login.user, events.SIGNED_OUT, actor)
    auth.logout(request)
    current.leave(request)
