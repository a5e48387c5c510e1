"""The userinfo endpoint (OpenID Connect Core section 5.3)."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse

from accounts.common.errors import PublicError
from accounts.oauth.claims import claims_of
from accounts.oauth.endpoints import answered, not_allowed, refusal, success
from accounts.tokens.authentication import TOKEN_SCHEMES, header_of, read_token
from accounts.tokens.dpop import InvalidProof
from accounts.tokens.errors import InsufficientScope, InvalidToken


@login_not_required
def userinfo(request: HttpRequest) -> HttpResponse:
    """Tell an app about the person for whom it has an access token with the scope ``openid``.

    The token must be for this site, and in the header. In a URL or a form, logs would store it.
    """
    if request.method not in {"GET", "POST"}:
        return not_allowed("GET", "POST")
    return answered(request, lambda: _claims(request))


def _claims(request: HttpRequest) -> HttpResponse:
    scheme, text = header_of(request)
    if scheme not in TOKEN_SCHEMES:
        # Without an error code, because the app has not tried to authenticate (RFC 6750 section 3).
        return refusal(PublicError.challenge, "invalid_token", 401)
    try:
        token, session = read_token(request, scheme, text)
    except InvalidToken as error:
        return refusal(error.challenge, "invalid_token", 401)
    except InvalidProof as error:
        return refusal(error.challenge, error.code, 401)
    if "openid" not in token.scope:
        return refusal(InsufficientScope("openid").challenge, "insufficient_scope", 403)
    return success({"sub": str(session.subject), **claims_of(session.user, token.scope)})
