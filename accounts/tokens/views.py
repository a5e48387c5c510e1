"""The view of the public keys that verify tokens of this site."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from accounts.tokens import keyring
from accounts.tokens.keyring import MAX_AGE


@login_not_required
@require_safe
def jwks(request: HttpRequest) -> HttpResponseBase:
    """Return the JWK set (RFC 7517 section 5), or status 304 if the client's copy is current."""
    # Read once, because the body and the ETag of two reads might not match.
    published = keyring.jwks()
    age = int(MAX_AGE.total_seconds())
    response = HttpResponse(
        published.body,
        content_type="application/json",
        headers={"Cache-Control": f"public, max-age={age}", "ETag": published.etag},
    )
    return get_conditional_response(request, etag=published.etag, response=response) or response
