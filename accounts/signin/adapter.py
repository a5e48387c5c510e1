"""allauth's account adapter: its hooks lead to our door, its own doors are shut."""

from typing import Any, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.kernel.links import safe_next
from accounts.signin import admission
from accounts.signin.stages import granted


class AccountAdapter(DefaultAccountAdapter):
    """Only what differs from allauth's defaults, and why."""

    def get_login_stages(self) -> list[str]:
        """One stage: allauth's own are for its codes and confirmations, which ours replace."""
        return ["accounts.signin.stages.PolicyStage"]

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Admit what the stage granted; allauth's own way would skip the policy."""
        grant = granted(request)
        if grant.user != user:
            raise admission.NotAdmitted
        admission.admit(request, grant)

    def authenticate(self, request: HttpRequest, **_credentials: Any) -> NoReturn:
        """allauth never checks a password here: it would know neither limits nor pending rows."""
        raise admission.NotAdmitted

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """allauth never signs anybody up: it would make a user before the address is confirmed."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Paths of this site only."""
        return bool(safe_next(url))

    def is_ajax(self, request: HttpRequest) -> bool:
        """Pages answer with pages; programs use the API."""
        return False

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        """The page that says so."""
        return redirect("account_inactive")

    def add_message(self, *_args: Any, **_options: Any) -> None:
        """No "signed in as": the page greets by name."""

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> NoReturn:
        """Mail goes through the outbox only, so that it commits with its change."""
        raise admission.NotAdmitted
