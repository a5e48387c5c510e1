"""Adds second factors, in a session or during a sign-in.

The seed of an authenticator app is stored with the account only after its first code was right.
Otherwise a thief who had begun to add an app would know the seed of the app that the owner adds.

An operator can create an enrolment link. It replaces the password and the mailbox, which the
authentication policy otherwise requires of staff. It works once, within a day, and only while the
account must have a second factor and has none. A newer link or a change of the account's
credentials invalidates it.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.generic import View

from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock, crypto
from accounts.common.client_info import client_of
from accounts.common.errors import PublicError
from accounts.common.pages import absolute, form_page
from accounts.common.proofs import Method, Proof
from accounts.recovery.locks import Access
from accounts.sessions import services as sessions
from accounts.sessions.current import renew_key, session_of
from accounts.signin import flow, policy
from accounts.signin.flow import PendingSignIn
from accounts.signin.policy import Requirement
from accounts.signin.recent import ANEW, reauthenticate_first
from accounts.twofactor import services as twofactor
from accounts.users.models import User


@dataclass(frozen=True)
class SessionSecret:
    """A secret that pages may show until it is removed or ``life`` is over.

    ``key``: the key of the secret in the session data.

    The argument ``sign_in`` of the methods is the id of the sign-in to which the secret belongs. No
    other sign-in can read it.
    """

    key: str
    life: timedelta

    def put(self, request: HttpRequest, user: User, secret: str, sign_in: str = "") -> None:
        """Encrypt ``secret`` and store it in the session data. Only ``user`` can read it back."""
        request.session[self.key] = self.seal(user, secret, sign_in)

    def seal(self, user: User, secret: str, sign_in: str = "") -> str:
        """Encrypt ``secret`` for :meth:`open`, and return the result.

        It can be decrypted until ``life`` is over, with the same ``user`` and ``sign_in``.
        """
        until = (clock.now() + self.life).timestamp()
        data = {"whose": f"{user.pk} {sign_in}", "secret": secret, "until": until}
        return crypto.seal(json.dumps(data), self.key)

    def get(self, request: HttpRequest, user: User, sign_in: str = "") -> str | None:
        """Return the secret of ``user``, or None if there is none or it has expired."""
        return self.open(request.session.get(self.key, ""), user, sign_in)

    def pop(self, request: HttpRequest) -> str:
        """Remove the secret from the session data; return it encrypted, or an empty string."""
        return str(request.session.pop(self.key, ""))

    def open(self, sealed: str, user: User, sign_in: str = "") -> str | None:
        """Decrypt ``sealed``, which may come from a form.

        Return None if ``sealed`` is not a secret of ``user``, or if it has expired.
        """
        try:
            data = json.loads(crypto.unseal(sealed, self.key))
        except (InvalidToken, ValueError):
            # The encryption key was removed, or the form contained something else; ``cryptography``
            # raises ValueError for characters outside ASCII.
            return None
        is_own = data["whose"] == f"{user.pk} {sign_in}"
        return str(data["secret"]) if is_own and clock.now().timestamp() < data["until"] else None


SEED = SessionSecret("totp_seed", timedelta(hours=1))
# Long enough to write the codes down. The page that shows the codes removes them from the session
# data. Its forms send them back encrypted, so that no other page can show them.
CODES = SessionSecret("recovery_codes", timedelta(minutes=15))


@method_decorator([login_not_required, form_page], name="dispatch")
class AddFactorView(View):
    """Add a second factor to the account of a session or of a pending sign-in.

    A session requires recent authentication. The next requirement of a pending sign-in must be one
    of ``requirements``. Otherwise somebody with only the password could add a factor to the
    account. The pending sign-in is read once, because another browser may end it at any moment.
    """

    requirements: tuple[Requirement, ...]
    pending: PendingSignIn | None = None
    user: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self._refuse(request) or super().dispatch(request, *args, **kwargs)

    def _refuse(self, request: HttpRequest) -> HttpResponse | None:
        """Return a redirect or an error page if no factor may be added now, else None.

        Set ``user`` and, for a pending sign-in, ``pending``.
        """
        if request.user.is_authenticated:
            self.user = session_of(request).user
            if not policy.may_enrol(session_of(request)):
                return render(request, ANEW, status=403)
            return reauthenticate_first(request)
        found = flow.find_pending(request)
        if found is None:
            return flow.restart(request, back=request.get_full_path())
        self.pending, self.user = found, found.user
        return None if found.requirement in self.requirements else redirect("second_step")

    def page(self, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return the page of a form that adds a factor."""
        shared = {
            "owner": self.user,
            "is_pending": self.pending is not None,
            "is_first": not twofactor.has_any(self.user),
            "access": Access(self.user, None if self.pending else session_of(self.request).pk),
            "next": flow.next_of(self.request),
            "hint": flow.of(self.request),
        }
        return render(self.request, template, shared | context)

    def resume(self, method: Method, made: list[str]) -> HttpResponse:
        """Redirect to the page that the user wanted to open, after a factor was added.

        ``method``: the sign-in method of the new factor.
        ``made``: the recovery codes that were created with the factor. If there are any, a page
            shows them first.
        """
        if made:
            CODES.put(self.request, self.user, json.dumps(made))
        proof = Proof.now(method)
        if self.pending:
            next_url = self.pending.next_url
            next_url = codes_page(next_url) if made else next_url
            return flow.resume(self.request, self.pending, proof, next_url=next_url)
        sessions.record_reauthentication(session_of(self.request), proof, client_of(self.request))
        renew_key(self.request)
        next_url = flow.next_of(self.request)
        return redirect(codes_page(next_url) if made else next_url or "second_factors")


def codes_page(next_url: str) -> str:
    """Return the URL of the page of the recovery codes, which then links to ``next_url``."""
    return reverse("recovery_codes", query={"next": next_url} if next_url else None)


LINK = Purpose("enrolment.link", life=timedelta(days=1))


class NotNeeded(PublicError):
    """The account already has a second factor, needs none, or is deactivated."""

    code = "enrolment_not_needed"
    message = _("This account doesn’t need an enrolment link.")


def new_link(user: User) -> str:
    """Return a URL with which ``user`` can sign in once and add a second factor.

    Older links of ``user`` stop working.

    Raises:
        NotNeeded: the account does not have to add a second factor.
    """
    if not _must_enrol(user):
        raise NotNeeded
    return absolute("enrolment_link", codes.issue_link(LINK, user.stamp))


def find_user_by_link(token: str) -> User | None:
    """Return the user of the link with ``token``, or None if the link no longer works."""
    user_id, _space, version = (codes.subject_of(LINK, token) or "").partition(" ")
    if not version:
        return None
    user = User.objects.filter(pk=user_id, credential_version=version).first()
    return user if user and _must_enrol(user) else None


def redeem(user: User, token: str) -> bool:
    """Use up the link with ``token``; return whether it was unused."""
    return codes.redeem(LINK, user.stamp, token)


def _must_enrol(user: User) -> bool:
    return user.is_active and twofactor.is_required(user) and not twofactor.has_any(user)
