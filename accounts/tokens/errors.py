"""Errors of requests for tokens, and of API requests that authenticate with a token."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError
from accounts.common.pages import absolute
from accounts.sessions import current


class InvalidToken(PublicError):
    """The token is forged, expired, revoked or of the wrong kind; the error does not say which."""

    code = "token_not_valid"
    status = 401
    # RFC 6750 section 3.1.
    www_authenticate = 'Bearer error="invalid_token"'
    message = _("The token is invalid, has expired or was revoked.")


class TokenExpired(InvalidToken):
    """The access token is genuine but has expired. The client should renew it."""

    code = "token_expired"
    www_authenticate = 'Bearer error="invalid_token", error_description="The access token expired"'
    message = _("The access token has expired. Get a new one with the refresh token.")


class TokenReused(InvalidToken):
    """A refresh token was used a second time. Its session has been revoked."""

    code = "token_reused"
    message = _("The refresh token was used before, so you’ve been signed out. Sign in again.")


class UnknownService(PublicError):
    """A client asked for an access token with another audience in exchange for its own.

    An exchange must keep the audience (see RFC 8707 section 2).
    """

    code = "invalid_target"
    message = _("You can only exchange this token for another one for the same service.")


class EmailNotVerified(PublicError):
    """The password is right, but the email address is not confirmed yet."""

    code = "email_not_verified"
    status = 401
    message = _("Confirm your email address first. We’ve emailed a code to it.")


class EnrolmentRequired(PublicError):
    """The account must add a second factor or a passkey before anybody is signed in.

    ``more``: the challenge with which an API client adds it, and the accepted methods; nothing if
        it can be added only on the site.
    """

    code = "enrolment_required"
    status = 403
    message = _("Your account needs two-step verification. Turn it on to finish signing in.")

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self.more = {"url": absolute("account_login"), **more}


class DeletionRequested(PublicError):
    """The account will be deleted. A sign-in on the pages of the site can keep it."""

    code = "deletion_requested"
    status = 403
    message = _("Your account will be deleted. Sign in on the site to keep it.")

    def __init__(self) -> None:
        super().__init__()
        self.more = {"url": absolute("account_login")}


class PasswordCompromised(PublicError):
    """The password is right, but is on a list that attackers use (ASVS 6.2.12)."""

    code = "password_compromised"
    status = 403
    message = _("Your password is known to attackers. Sign in on the site and set a new one.")


class SecondFactorRequired(PublicError):
    """The password is right, but the account requires a second factor.

    ``more``: fields to add to the response. They are the challenge, the accepted methods and the
        options for a passkey, or nothing if no challenge was issued.
    """

    code = "second_factor_required"
    status = 401
    message = _("Use your passkey or a code to finish signing in.")

    def __init__(self, **more: Any) -> None:
        super().__init__()
        if "challenge" in more:
            # On this page, the person can recover the account if every second factor is lost.
            more["url"] = absolute("account_login")
        self.more = more


class InvalidChallenge(PublicError):
    """The challenge is unknown, used, expired, or has no attempts left."""

    code = "invalid_challenge"
    status = 401
    message = _("That took too long, or there were too many wrong codes. Sign in again.")


class InsufficientScope(PublicError):
    """The token does not grant the scope that this call needs (RFC 6750 section 3.1)."""

    code = "insufficient_scope"
    status = 403
    message = _("This request requires the scope %(scope)s.")

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.more = {"scope": scope}
        self.www_authenticate = f'Bearer error="insufficient_scope", scope="{scope}"'

    def __str__(self) -> str:
        return str(self.message) % self.more


class InsufficientUserAuthentication(PublicError):
    """The call requires recent authentication, but the request has none (RFC 9470 section 3)."""

    code = "insufficient_user_authentication"
    status = 401
    www_authenticate = (
        'Bearer error="insufficient_user_authentication", '
        f'max_age="{int(current.RECENT.total_seconds())}"'
    )
    message = _("You must have signed in within the last ten minutes to do this. Sign in again.")


class OnlyOnSite(PublicError):
    """Only pages and the person's own programs may do this. ``page``: the name of the page."""

    status = 403
    message = _("Apps can’t do this. Do it on the site itself.")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.more = {"url": absolute(page)}


class NotForApps(OnlyOnSite):
    """A connected app tried to do what only its user may do."""

    code = "not_for_apps"


class NotForPages(OnlyOnSite):
    """A page in a browser tried to create or to change a credential.

    A malicious script could have taken the access token of the page, and the credential would
    outlive that token.
    """

    code = "not_for_pages"
