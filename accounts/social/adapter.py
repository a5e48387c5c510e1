"""allauth's adapters: it serves OAuth providers here, and neither signs in, signs up nor mails."""

from typing import Any, NoReturn

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.http import HttpRequest

from accounts.common.issuers import Issuer
from accounts.signin.session import PolicyNotMet
from accounts.social import http_client


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


class AccountAdapter(DefaultAccountAdapter):
    """Refuses everything that would go round the authentication policy."""

    def login(self, request: HttpRequest, user: Any) -> NoReturn:
        """Refuse: only ``signin.session`` makes sessions."""
        raise PolicyNotMet

    def authenticate(self, request: HttpRequest, **_credentials: Any) -> NoReturn:
        """Refuse: allauth knows neither the limits nor pending sign-ups."""
        raise PolicyNotMet

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Refuse: allauth would make a user before the email address is confirmed."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> NoReturn:
        """Refuse: mail goes through the outbox, so that it commits with its change."""
        raise PolicyNotMet


class SocialAdapter(DefaultSocialAccountAdapter):
    """Limits the HTTP requests to providers, and refuses sign-in and sign-up by allauth itself."""

    def get_requests_session(self) -> requests.Session:
        """Return a session whose requests are limited in time, size and destination."""
        return http_client.session()

    def is_email_verified(self, provider: Any, email: str) -> bool:
        """Only what the provider says of the address itself counts."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> NoReturn:
        """Refuse: allauth knows neither our policy nor our external identities."""
        raise PolicyNotMet

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Refuse, as the account adapter does."""
        return False

    def send_notification_mail(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse, as the account adapter does."""
        raise PolicyNotMet
