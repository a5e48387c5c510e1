"""allauth's social adapter: its providers and its HTTP come from us, its own doors are shut."""

from typing import Any, NoReturn

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.http import HttpRequest

from accounts.kernel.issuers import Issuer
from accounts.signin.admission import NotAdmitted
from accounts.social import outside


def app_of(issuer: Issuer) -> SocialApp:
    """What allauth calls a client; never stored."""
    return SocialApp(
        provider=issuer.key,
        provider_id=issuer.key,
        name=issuer.name,
        client_id=issuer.client_id,
        secret=issuer.client_secret,
        settings={},
    )


class SocialAdapter(DefaultSocialAccountAdapter):
    """Only what differs from allauth's defaults, and why."""

    def get_requests_session(self) -> requests.Session:
        """One that is bounded in time, size and destination."""
        return outside.session()

    def is_email_verified(self, provider: Any, email: str) -> bool:
        """Only what the provider says of the address itself counts."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> NoReturn:
        """allauth never signs anybody in: it would know neither our policy nor our table."""
        raise NotAdmitted

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Nor up."""
        return False

    def send_notification_mail(self, *_args: Any, **_options: Any) -> NoReturn:
        """Mail goes through the outbox only."""
        raise NotAdmitted
