"""The URLs of the site, and those that need no sign-in."""

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

OPEN = {
    "accounts/signup/",
    "accounts/confirm-email/",
    "accounts/confirm-email/<str:key>/",
    "accounts/invitation/<str:key>/",
    "accounts/login/",
    "accounts/login/code/",
    "accounts/password/reset/",
    "accounts/password/reset/<str:key>/",
    "accounts/2fa/challenge/",
    "accounts/2fa/totp/setup/",
    "accounts/2fa/passkeys/add/",
    "accounts/login/passkey/",
    ".well-known/passkey-endpoints",
    "accounts/2fa/recovery/<str:token>/",
    "accounts/2fa/enrol/<str:token>/",
    # Without credentials these answer 404: tests/social.
    "accounts/<provider:provider>/login/",
    "accounts/<provider:provider>/login/callback/",
    "accounts/logout/",
    "accounts/terms/",
    "accounts/reauthenticate/",
    "accounts/inactive/",
    "accounts/language/",
    "accounts/theme/",
    # Apps send people here: tests/attacks/test_authorize.py.
    "oauth/authorize",
    "oauth/continue/<str:key>",
    # Apps authenticate themselves here: tests/oauth/test_clients.py.
    "oauth/par",
    "oauth/device_authorization",
    "accounts/password/strength/",
    "accounts/lockdown/<str:token>/",
    "accounts/delete/keep/",
    "accounts/delete/undo/<str:token>/",
    "accounts/email/refuse/<str:token>/",
    "accounts/password/locked/",
    "accounts/owner/<str:token>/",
    "brand/<str:name>",
    "pictures/<str:name>",
    "favicon.ico",
    "apple-touch-icon.png",
    "client/<str:name>",
    "help/",
    "privacy/",
    ".well-known/security.txt",
    "health/live",
    "health/ready",
    # Without a signature it answers 404: tests/ops/test_doctor.py.
    "health/doctor",
    # Without its token it answers 404: tests/ops/test_monitoring.py.
    "metrics",
    ".well-known/jwks.json",
    # Apps authenticate themselves here: tests/oauth/test_clients.py.
    *("oauth/token", "oauth/revoke", "oauth/introspect"),
    # With an access token only: tests/attacks/test_app_codes.py.
    "oauth/userinfo",
    # With a registration token only: tests/attacks/test_registration.py.
    "oauth/register",
    "oauth/logout",
    # For trusted proxies, which pass on what browsers send: tests/attacks/test_forward.py.
    *("auth/forward", "auth/forward/callback"),
    ".well-known/openid-configuration",
    ".well-known/oauth-authorization-server",
    ".well-known/oauth-protected-resource",
    ".well-known/change-password",
    ".well-known/webauthn",
    ".well-known/assetlinks.json",
    ".well-known/apple-app-site-association",
    "dev/mail/",
    "dev/mail/<slug:name>/",
    "dev/mail/<slug:name>/html/",
    # The admin checks permissions itself; its sign-in page redirects to the site's own.
    "admin/login/",
    "api/v1/users/",
    "api/v1/email/verify/",
    "api/v1/email/resend/",
    "api/v1/token/",
    "api/v1/token/challenge/",
    "api/v1/email/correct/",
    "api/v1/invitation/check/",
    "api/v1/invitation/accept/",
    "api/v1/config/",
    "api/v1/login/code/",
    "api/v1/login/code/confirm/",
    "api/v1/password/reset/",
    "api/v1/password/reset/check/",
    "api/v1/password/reset/confirm/",
    "api/v1/password/strength/",
    "api/v1/token/enrolment/",
    "api/v1/token/enrolment/setup/",
    "api/v1/token/refresh/",
    "api/v1/passkeys/options/",
    "api/v1/token/verify/",
    "api/v1/token/revoke/",
    # These two check a header and the Origin: tests/attacks/test_browser_clients.py.
    "api/v1/session/",
    "api/v1/session/code/",
    "api/v1/session/refresh/",
    "api/v1/schema/",
    "api/v1/docs/",
}

# A value for every kind of parameter in a route, by a regular expression.
EXAMPLES = {
    r"<(str|slug|client_id):\w+>": "no-such-thing",
    r"<(int:\w+|path:object_id|id)>": "1",
    r"<provider:provider>": "google",
    r"<uuid:id>": "00000000-0000-4000-8000-000000000000",
    r"<app_label>|\^\(\?P<app_label>[a-z|]+\)": "accounts",
    r"\(\?P<url>\.\*\)": "no-such-page",
    r"\$$": "",
}


def routes(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        else:
            yield route, entry


def address(route: str) -> str:
    for parameter, example in EXAMPLES.items():
        route = re.sub(parameter, example, route)
    return "/" + route


ROUTES = dict(routes(get_resolver().url_patterns))
CALLS = {route for route in ROUTES if route.startswith(("api/", "scim/"))}
PAGES = set(ROUTES) - CALLS
