"""The endpoint for pushed authorization requests (RFC 9126)."""

from django.http import HttpRequest, HttpResponse

from accounts.common.client_info import client_of
from accounts.oauth import client_auth, open_requests, requests
from accounts.oauth.endpoints import endpoint, success
from accounts.oauth.messages import OAuthError


@endpoint
def push(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Check and store the authorization request that the app sends, and answer with its URI."""
    client = client_auth.authenticate(request, sent)
    if "request_uri" in sent:
        raise OAuthError("invalid_request", "A pushed request must not have a request_uri.")
    asked = requests.read(client, sent)
    charges = open_requests.charges_of(client, client_of(request))
    request_uri = open_requests.push(asked, *charges)
    seconds = int(open_requests.PUSHED_LIFE.total_seconds())
    response = success({"request_uri": request_uri, "expires_in": seconds})
    response.status_code = 201
    return response
