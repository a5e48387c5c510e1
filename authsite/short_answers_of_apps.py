"""The responses of the short path to apps that renew tokens, and to proxies in front of apps.

See ``authsite.short_answers``.

``authsite.short_path`` imports this module if the OpenID Provider is installed.
"""

import json

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict

from accounts.oauth import forward
from accounts.oauth.protocol import FORM, OAuthError, parameters
from accounts.oauth.token_views import refresh_at_once
from authsite.errors import FORWARD
from authsite.short_answers import (
    OWN,
    POSTED,
    READS_COOKIES,
    RESPONDERS,
    Environ,
    ShortResponse,
    body_of_request,
    client_of_request,
)


def _token_of_app(environ: Environ, client_ip: str) -> ShortResponse | None:
    body = body_of_request(environ, FORM)
    # Requests with other grant types are not parsed here, because Django parses them.
    if body is None or b"refresh_token" not in body:
        return None
    # The constructor creates five dictionaries, of which only one is read.
    request = HttpRequest.__new__(HttpRequest)
    request.META = environ
    try:
        sent = parameters(QueryDict(body))
    except (OAuthError, TooManyFieldsSent):
        return None
    answer = refresh_at_once(request, sent, client_of_request(environ, client_ip))
    return ShortResponse(json.dumps(answer).encode()) if answer else None


def _of_proxy(environ: Environ, client_ip: str) -> ShortResponse | None:
    info = client_of_request(environ, client_ip)
    headers = forward.headers_for(environ, info, may_repeat=True)
    return None if headers is None else ShortResponse(b"", [*headers.items()])


RESPONDERS["/oauth/token"] = _token_of_app
POSTED.add("/oauth/token")
RESPONDERS[FORWARD] = _of_proxy
READS_COOKIES.add(FORWARD)
OWN.update(name.lower() for name in forward.HEADERS)
