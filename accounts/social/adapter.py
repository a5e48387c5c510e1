"""The adapters that limit allauth to sending requests to providers.

They keep allauth from signing users in, creating users and sending email.
"""

from typing import Any, NoReturn

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.http import HttpRequest

from accounts.common import http_client
from accounts.common.issuers import Issuer
from accounts.signin.session import PolicyNotMet


def app_of(issuer: Issuer) -> SocialApp:
    """Return allauth's ``SocialApp`` with the credentials of this site at the provider ``issuer``.

    The object is not stored in the database.
    """
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
        """Raise ``PolicyNotMet``, because only ``signin.session`` creates sessions."""
        raise PolicyNotMet

    def authenticate(self, request: HttpRequest, **_credentials: Any) -> NoReturn:
        """Raise ``PolicyNotMet``: allauth applies no rate limits and ignores pending sign-ups."""
        raise PolicyNotMet

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: allauth would create a user before the email address is confirmed."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> NoReturn:
        """Raise ``PolicyNotMet``, because allauth must not send emails: the site's outbox does."""
        raise PolicyNotMet


class SocialAdapter(DefaultSocialAccountAdapter):
    """Limits the HTTP requests to providers, and prevents sign-in and sign-up by allauth itself."""

    def get_requests_session(self) -> requests.Session:
        """Return a session that limits the time, size and destination of requests."""
        return http_client.session()

    def is_email_verified(self, provider: Any, email: str) -> bool:
        """Return False, so that allauth does not declare the email address verified.

        An email address counts as verified only if the provider says so.
        """
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> NoReturn:
        """Raise ``PolicyNotMet``: allauth's sign-in ignores this site's policy and identities."""
        raise PolicyNotMet

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Return False: allauth would create a user before the email address is confirmed."""
        return False

    def send_notification_mail(self, *_args: Any, **_options: Any) -> NoReturn:
        """Raise ``PolicyNotMet``, because allauth must not send emails: the site's outbox does."""
        raise PolicyNotMet
