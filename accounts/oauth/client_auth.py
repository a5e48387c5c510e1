"""Authenticates the client that calls an endpoint (RFC 6749 section 2.3).

A client uses the one method that it is registered for: a confidential client sends its secret by
HTTP Basic or in the form, or an assertion that it has signed, and a public client sends only its
``client_id``.

Only wrong secrets and assertions are counted and limited, and the right one always works.
Otherwise, a stranger in the network of a client could lock the client out. Guessing is no risk,
because a secret has 160 random bits: the limits only bound the work of a flood, and show it in the
metrics.
"""

import base64
from urllib.parse import unquote_plus

from django.http import HttpRequest

from accounts.common.client_info import client_of
from accounts.oauth import assertions, clients
from accounts.oauth.models import Client
from accounts.oauth.protocol import OAuthError
from accounts.throttle.limits import CLIENT_LINE, UNGUESSABLE
from accounts.throttle.services import around, spend

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
# The parameters of RFC 7521 section 4.2.
ASSERTION = frozenset({"client_assertion", "client_assertion_type"})


def authenticate(request: HttpRequest, sent: dict[str, str]) -> Client:
    """Return the enabled client that sends ``request`` with the parameters ``sent``.

    Raises:
        OAuthError: ``invalid_client``: the client is unknown or disabled, its secret or
            assertion is wrong, or it uses another method than it is registered for;
            ``invalid_request``: it uses two.
        RateLimited: too many wrong secrets or assertions were sent from the network, or the keys of
            the client are being fetched.
    """
    if is_signed := not ASSERTION.isdisjoint(sent):
        client_id, secret = sent.get("client_id", ""), None
        client = _by_assertion(request, sent)
    else:
        client_id, secret = credentials(request, sent)
        client = _find(client_id, secret)
    if client:
        return client
    if is_signed or secret is not None:
        here = client_of(request)
        of_line = CLIENT_LINE.of(client_id, here.wide_network)
        spend(*around(UNGUESSABLE, here, "client"), of_line)
    raise refused()


def find(request: HttpRequest, sent: dict[str, str]) -> Client | None:
    """Return the client as :func:`authenticate` does, or None. Nothing is counted or stored.

    Raises:
        OAuthError: the credentials are malformed, or there is an assertion, which must be stored.
    """
    return _find(*credentials(request, sent))


def _by_assertion(request: HttpRequest, sent: dict[str, str]) -> Client | None:
    """Return the client that has signed the assertion, or None.

    Raises:
        OAuthError: the client also sends a secret.
    """
    if "HTTP_AUTHORIZATION" in request.META or "client_secret" in sent:
        raise _two_ways()
    if sent.get("client_assertion_type") != assertions.TYPE:
        return None
    return assertions.authenticate(sent.get("client_assertion", ""), sent.get("client_id"))


def _find(client_id: str, secret: str | None) -> Client | None:
    if secret is None:
        return clients.find_public(client_id)
    return clients.authenticate(client_id, secret)


def credentials(request: HttpRequest, sent: dict[str, str]) -> tuple[str, str | None]:
    """Return the client ID and the secret that ``request`` has; the secret is None if it has none.

    Raises:
        OAuthError: see :func:`authenticate`.
    """
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if not scheme:
        if "client_id" not in sent or not ASSERTION.isdisjoint(sent):
            raise refused()
        return sent["client_id"], sent.get("client_secret")
    if "client_secret" in sent or not ASSERTION.isdisjoint(sent):
        raise _two_ways()
    if scheme.lower() != "basic":
        raise refused()
    client_id, secret = _decoded(value.strip())
    if sent.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "The client_id differs from the one in HTTP Basic.")
    # A client without a secret may send an empty one (RFC 6749 section 2.3.1), as oidc-agent does.
    return client_id, secret or None


def refused() -> OAuthError:
    """Return the error for failed client authentication, which is the same for every reason."""
    sentence = "The client is unknown or disabled, or its credentials or its method are wrong."
    return OAuthError("invalid_client", sentence, status=401)


def _two_ways() -> OAuthError:
    return OAuthError("invalid_request", "Use only one method of client authentication.")


def _decoded(value: str) -> tuple[str, str]:
    """Return the client ID and the secret of HTTP Basic.

    Both are form-encoded before they are joined (RFC 6749 section 2.3.1).

    Raises:
        OAuthError: ``value`` is malformed.
    """
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
        client_id, colon, secret = text.partition(":")
        pair = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise refused() from None
    if not colon or not "".join(pair).isprintable():
        raise refused()
    return pair
