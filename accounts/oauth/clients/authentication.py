"""Authenticates the client that calls an endpoint (RFC 6749 section 2.3, RFC 7523).

A client can use only the method that it is registered for. A confidential client sends its secret,
by HTTP Basic or in the form, or an assertion that it has signed. A public client sends only its
``client_id``.

The audience of an assertion must be the issuer alone, as FAPI 2.0 and draft-ietf-oauth-rfc7523bis
require. If the URL of an endpoint were accepted, a malicious server could publish that URL as its
own, and use the assertions that clients then send to it at this site.

An app may publish its keys at a URL, its ``jwks_uri``. The request that contains an assertion
fetches the keys if no stored key has signed the assertion, or if the stored keys are no longer
fresh. Anybody can send such a request. Therefore one UPDATE allows one attempt per minute for each
app, on all nodes, and only a few requests of a process fetch keys at the same time.

Only wrong secrets and assertions are counted and limited, and a right one always works. Otherwise,
a stranger in the network of a client could lock the client out. Guessing is no risk, because a
secret has 160 random bits: the limits only bound the work of a flood, and show it in the metrics.
"""

import base64
import json
import logging
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from accounts.codes.services import use_once
from accounts.common import clock
from accounts.common.client_info import client_of
from accounts.common.database import delete_in_batches
from accounts.common.errors import Busy
from accounts.oauth.clients import keys, services
from accounts.oauth.clients.keys import Keys
from accounts.oauth.clients.models import Client, FetchedKeys
from accounts.oauth.protocol import OAuthError
from accounts.throttle.limits import CLIENT_SUBSCRIBER, UNGUESSABLE
from accounts.throttle.services import around, hit
from accounts.tokens import signatures
from accounts.tokens.signatures import SKEW, Parts

log = logging.getLogger(__name__)

# How long fetched keys are used before they are fetched again, and how long if fetching fails.
FRESH, USABLE = timedelta(minutes=10), timedelta(days=1)
# The minimum time between two attempts to fetch the keys of an app.
PAUSE = timedelta(minutes=1)
# The maximum time for which a request waits for the server of an app.
PATIENCE = timedelta(seconds=3)
# In bytes. Certificates (``x5c``) make key sets long.
LONGEST_RESPONSE = 100_000
ACCEPT = {"Accept": "application/jwk-set+json, application/json"}


def has_signed(client: Client, jwt: Parts) -> bool:
    """Return whether one of the keys that ``client`` publishes has signed ``jwt``.

    Do not call this in a transaction.

    Raises:
        Busy: another request is fetching the keys, or too many requests fetch keys.
        LookupError, TypeError, AttributeError: the header of ``jwt`` is malformed.
    """
    held = _held(client)
    is_usable = _is_recent(held.fetched_at, USABLE)
    is_signed = is_usable and keys.is_signed_by(held.jwks, jwt)
    if is_signed and _is_recent(held.fetched_at, FRESH):
        return True
    try:
        newer = _renew(held)
    except Busy:
        if not is_signed:
            raise
        newer = None
    return is_signed if newer is None else keys.is_signed_by(newer, jwt)


def prune() -> int:
    """Delete keys that are no longer usable; return how many key sets were deleted."""
    return delete_in_batches(FetchedKeys.objects.filter(tried_at__lte=clock.now() - USABLE))


def _held(client: Client) -> FetchedKeys:
    """Return the stored keys of ``client``, which are empty before the first fetch."""
    held, _is_new = FetchedKeys.objects.get_or_create(client=client, uri=client.jwks_uri)
    held.client = client
    return held


def _renew(held: FetchedKeys) -> Keys | None:
    """Fetch and store the keys; return None if that fails, or was tried less than a minute ago.

    Raises:
        Busy: see :func:`has_signed`.
    """
    if _is_recent(held.tried_at, PAUSE):
        # A failed attempt may be recent enough to look as if it were still running.
        if held.tried_at > held.fetched_at and _is_recent(held.tried_at, PATIENCE):
            raise Busy(1)
        return None
    if not _claim(held):
        raise Busy(1)
    found = _fetch(held)
    if found:
        FetchedKeys.objects.filter(pk=held.pk).update(jwks=found, fetched_at=clock.now())
    return found


def _claim(held: FetchedKeys) -> bool:
    """Return whether this request may fetch the keys; if so, no other may for a minute."""
    now = clock.now()
    rows = FetchedKeys.objects.filter(pk=held.pk)
    # The other request may have read its clock later, or on a node whose clock is ahead.
    recent = {"tried_at__gt": now - PAUSE, "tried_at__lt": now + PAUSE}
    return bool(rows.exclude(**recent).update(tried_at=now))


def _fetch(held: FetchedKeys) -> Keys | None:
    """Return the keys that the app publishes; log the error and return None if that fails.

    Raises:
        Busy: too many requests of this process wait for other servers.
    """
    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    def get() -> Keys:
        with http_client.taking_private() if held.client.jwks_uri_is_private else nullcontext():
            answer = http_client.session().get(held.uri, headers=ACCEPT)
        answer.raise_for_status()
        return keys.usable(answer.json())

    server = f"keys {urlsplit(held.uri).netloc}"
    seconds = PATIENCE.total_seconds()
    try:
        return http_client.talk(
            server,
            get,
            group=http_client.OF_APPS,
            seconds=seconds,
            longest_response=LONGEST_RESPONSE,
        )
    except Busy:
        # Nothing was fetched, so the next request may try.
        FetchedKeys.objects.filter(pk=held.pk).update(tried_at=held.tried_at)
        raise
    except Exception as error:  # whatever a server answers
        log.warning("The keys of app %s were not fetched: %r", held.client.pk, type(error).__name__)
        return None


def _is_recent(then: datetime, age: timedelta) -> bool:
    # ``then`` may be in the future, because another node with a faster clock may have written it.
    return abs(clock.now() - then) < age


TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# The maximum lifetime of an assertion in seconds. Its ``jti`` is stored until then.
LIFE = 300
# The accepted types in the header of a JWT, in lower case. Clients sign other JWTs with the same
# key, such as DPoP proofs, and these must not authenticate anybody.
JWT_TYPES = ("jwt", "client-authentication+jwt")


def _find_by_assertion(request: HttpRequest, sent: dict[str, str]) -> Client | None:
    """Return the enabled client that has signed the assertion, and mark the assertion as used.

    Return None if the assertion is not valid, was used before, or is from another client than the
    ``client_id`` of the request.

    Raises:
        OAuthError: the client also sends a secret.
        Busy: see :func:`has_signed`.
    """
    if "HTTP_AUTHORIZATION" in request.META or "client_secret" in sent:
        raise _two_ways()
    if sent.get("client_assertion_type") != TYPE:
        return None
    try:
        parts = signatures.split(sent.get("client_assertion", ""))
        claims = json.loads(parts.payload)
        subject = claims["sub"]
        if sent.get("client_id", subject) != subject or not subject.isprintable():
            return None
        client = services.find_enabled(subject, services.HAS_KEYS)
        # The signature is checked last, because this may fetch keys.
        if client is None or not _is_valid(claims) or not _is_signed(parts, client):
            return None
        digest = sha256(json.dumps([subject, claims["jti"]]).encode()).hexdigest()
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    # The record is kept longer than the assertion is valid, because the clock of another node may
    # be behind.
    expires_at = datetime.fromtimestamp(claims["exp"] + SKEW, UTC)
    return client if use_once("assertion", digest, expires_at) else None


def _is_signed(parts: Parts, client: Client) -> bool:
    # Extensions that ``crit`` names must be supported (RFC 7515 section 4.1.11).
    if "crit" in parts.header or parts.header.get("typ", "JWT").lower() not in JWT_TYPES:
        return False
    if client.jwks is None:
        return has_signed(client, parts)
    return keys.is_signed_by(client.jwks, parts)


def _is_valid(claims: dict[str, Any]) -> bool:
    """Return whether the assertion with ``claims`` is for this site and valid now.

    Raises:
        LookupError, TypeError: a claim is missing or has another type.
    """
    now, issuer = clock.now().timestamp(), settings.AUTHSITE.origin
    return (
        claims["iss"] == claims["sub"]
        and claims["aud"] in (issuer, [issuer])
        and now < claims["exp"] <= now + LIFE + SKEW
        and all(claims.get(name, now) <= now + SKEW for name in ("iat", "nbf"))
        and isinstance(claims["jti"], str)
        and claims["jti"] != ""
    )


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
    secret: str | None
    if not ASSERTION.isdisjoint(sent):
        client_id, secret = sent.get("client_id", ""), sent.get("client_assertion", "")
        client = _find_by_assertion(request, sent)
    else:
        client_id, secret = credentials(request, sent)
        client = _find_by_credentials(client_id, secret)
    if client:
        return client
    if secret is not None:
        here = client_of(request)
        of_line = CLIENT_SUBSCRIBER.of(client_id, here.wide_network)
        hit(*around(UNGUESSABLE, here, "client"), of_line)
    raise refused()


def find_authenticated(request: HttpRequest, sent: dict[str, str]) -> Client | None:
    """Return the client as :func:`authenticate` does, or None. Nothing is counted or stored.

    Raises:
        OAuthError: the credentials are malformed, or contain an assertion, whose use must be
            stored.
    """
    return _find_by_credentials(*credentials(request, sent))


def _find_by_credentials(client_id: str, secret: str | None) -> Client | None:
    if secret is None:
        client = services.find_enabled(client_id, Q(is_public=True))
        # Only this site redeems the codes of hosts behind proxies. Anybody else who sends one has
        # it from the app behind the proxy, or has talked a person into approving a device.
        return None if client and client.is_forward else client
    return services.authenticate(client_id, secret)


def credentials(request: HttpRequest, sent: dict[str, str]) -> tuple[str, str | None]:
    """Return the client ID and the secret in ``request``; the secret is None if there is none.

    Raises:
        OAuthError: ``invalid_client``: the request names no client, has an assertion, or its header
            is malformed; ``invalid_request``: it uses two methods, or names two clients.
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
    """Return the client ID and the secret in the value of HTTP Basic.

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
