"""Restrict allauth to the requests to OAuth providers.

Here allauth does not sign anyone in, create users or send email.
"""

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
    """Return an unsaved ``SocialApp`` with the credentials of this site at ``issuer``."""
    return SocialApp(
        provider=issuer.key,
        provider_id=issuer.key,
        name=issuer.name,
        client_id=issuer.client_id,
        secret=issuer.client_secret,
        settings={},
    )


class AccountAdapter(DefaultAccountAdapter):
    """Refuses every call from allauth that would bypass the authentication policy."""

    def login(self, request: HttpRequest, user: Any) -> NoReturn:
        """Refuse: only ``signin.session`` creates sessions."""
        raise PolicyNotMet

    def authenticate(self, request: HttpRequest, **_credentials: Any) -> NoReturn:
        """Refuse: allauth applies no rate limits and ignores pending sign-ups."""
        raise PolicyNotMet

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Refuse: allauth would create a user before the email address is confirmed."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> NoReturn:
        """Refuse: emails are stored in the outbox, in the transaction of the change they report."""
        raise PolicyNotMet


class SocialAdapter(DefaultSocialAccountAdapter):
    """Limits the HTTP requests to providers, and refuses sign-in and sign-up by allauth itself."""

    def get_requests_session(self) -> requests.Session:
        """Return a session that limits the time, size and destination of requests."""
        return http_client.session()

    def is_email_verified(self, provider: Any, email: str) -> bool:
        """Return False: an email address counts as verified only if the provider says so."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> NoReturn:
        """Refuse: allauth ignores the authentication policy and this site's external identities."""
        raise PolicyNotMet

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Refuse: allauth would create a user before the email address is confirmed."""
        return False

    def send_notification_mail(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse: emails are stored in the outbox, in the transaction of the change they report."""
        raise PolicyNotMet
