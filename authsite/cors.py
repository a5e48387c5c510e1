"""Lets scripts of every site call the endpoints of OAuth that single-page apps need.

These endpoints ignore cookies: a script gets only what it has a code or token for. Therefore any
origin may read the answers, without credentials of the browser. Which origins may call the API is
decided by the setting CORS_ORIGINS.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from authsite.middleware import Middleware

PATHS = {"/.well-known/jwks.json"}
if settings.AUTHSITE.openid_provider == "on":
    PATHS |= {
        *("/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/oauth/register"),
        *("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
        "/.well-known/oauth-protected-resource",
    }
EXPOSED = "dpop-nonce, retry-after, www-authenticate"
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, content-type, dpop",
    "Access-Control-Max-Age": "600",
}


class PublicCorsMiddleware(Middleware):
    """Answers preflight requests, and adds the header that lets scripts read the other answers."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in PATHS:
            return self.get_response(request)
        is_preflight = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META
        if request.method == "OPTIONS" and is_preflight:
            response = HttpResponse(status=204, headers=PREFLIGHT)
        else:
            response = self.get_response(request)
            response["Access-Control-Expose-Headers"] = EXPOSED
        response["Access-Control-Allow-Origin"] = "*"
        return response
