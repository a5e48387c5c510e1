"""The adapters that limit allauth to sending requests to providers.

They keep allauth from signing users in, creating users and sending email.
"""

from typing import Any, NoReturn

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp

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


def _refuse(*_args: Any, **_options: Any) -> NoReturn:
    """Refuse a call by which allauth would bypass the authentication policy."""
    raise PolicyNotMet


class AccountAdapter(DefaultAccountAdapter):
    """Stops allauth from signing users in, creating users and sending email.

    Only ``signin.session`` creates sessions. allauth applies no rate limits, ignores pending
    sign-ups, and would create a user before the email address is confirmed. The outbox of the site
    sends emails.
    """

    login = authenticate = is_open_for_signup = send_mail = _refuse


class SocialAdapter(DefaultSocialAccountAdapter):
    """Limits HTTP requests to providers, and refuses the same calls as ``AccountAdapter``."""

    pre_social_login = is_open_for_signup = send_notification_mail = _refuse

    def get_requests_session(self) -> requests.Session:
        """Return a session that limits the time, size and destination of requests."""
        return http_client.session()

    def is_email_verified(self, provider: Any, email: str) -> bool:
        """Return False, so that allauth does not declare the email address verified.

        An email address counts as verified only if the provider says so.
        """
        return False
