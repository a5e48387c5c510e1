"""Allows second factors to be added in a session, or in a pending sign-in that requires one."""

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.generic import View

from accounts.common.client_info import client_of
from accounts.common.pages import form_page
from accounts.common.proofs import Method, Proof
from accounts.lockdown.access import Access
from accounts.sessions import services as sessions
from accounts.sessions.current import renew_key, session_of
from accounts.signin import flow, hints, pending, policy
from accounts.signin.pending import PendingSignIn
from accounts.signin.policy import Requirement
from accounts.signin.recent import ANEW, reauthenticate_first
from accounts.twofactor import services as twofactor
from accounts.twofactor_pages.session_data import CODES
from accounts.users.models import User


@method_decorator(
    [login_not_required, form_page],
    name="dispatch",
)
class AddFactorView(View):
    """Add a second factor to the account of a session or of a pending sign-in.

    A session requires recent authentication. A pending sign-in must have one of ``requirements`` as
    its next requirement: otherwise somebody with only the password could add a factor to those of
    the owner. The pending sign-in is looked up once, because another browser may end it at any
    moment.
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
        found = pending.find(request)
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
            "hint": hints.of(self.request),
        }
        return render(self.request, template, shared | context)

    def resume(self, method: Method, made: list[str]) -> HttpResponse:
        """Redirect to the page that the user wanted to open, after a factor was added.

        ``method``: the sign-in method of the new factor.
        ``made``: the recovery codes that were created with the factor. If there are any, their page
            opens first.
        """
        if made:
            CODES.put(self.request, self.user, json.dumps(made))
        proof = Proof.now(method)
        if self.pending:
            next_url = self.pending.next_url
            next_url = codes_page(next_url) if made else next_url
            return flow.resume(self.request, self.pending, proof, next_url=next_url)
        sessions.record_proof(session_of(self.request), proof, client_of(self.request))
        renew_key(self.request)
        next_url = flow.next_of(self.request)
        return redirect(codes_page(next_url) if made else next_url or "second_factors")


def codes_page(next_url: str) -> str:
    """Return the URL of the page of the recovery codes, which then links to ``next_url``."""
    query = f"?{urlencode({'next': next_url})}" if next_url else ""
    return reverse("recovery_codes") + query
