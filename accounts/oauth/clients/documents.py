"""Reads client ID metadata documents: apps describe themselves at the URL of their client ID.

See draft-ietf-oauth-client-id-metadata-document-02. This site reads a document only for a signed-in
user, so that strangers cannot make it send requests. It stores the result as a :class:`Client`. The
operator decides the fields ``KEPT``, and the document decides all others.
"""

import json
import re
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef

from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.database import delete_in_batches
from accounts.common.errors import Busy, RateLimited
from accounts.oauth import id_tokens, scopes
from accounts.oauth.clients import metadata as client_metadata
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.decisions import OFFLINE
from accounts.oauth.models import AppSession, AuthorizationRequest, Connection
from accounts.oauth.protocol import OAuthError
from accounts.throttle.limits import METADATA_NETWORK, METADATA_PERSON
from accounts.throttle.services import around, hit
from accounts.users.models import User

# In bytes; the limit that section 8.7 of the draft recommends.
LONGEST = 5 * 1024
# How long a document is used before it is read again: without a Cache-Control header, and at least
# and at most with one (section 5.2 of the draft).
USUAL_AGE, LEAST_AGE, MOST_AGE = timedelta(hours=1), timedelta(minutes=5), timedelta(days=1)
# The maximum time for which a document is used while its host does not answer.
LAST = timedelta(days=2)
# For this time, other requests use the former document while one request reads it again.
PAUSE = timedelta(seconds=30)
# How long an app is kept if nobody has connected it. This is longer than ``LAST``, so that no
# request still uses the app when it is deleted.
UNUSED = timedelta(days=3)
# The fields of an app that the operator decides, not the document.
KEPT = {"is_verified", "factor", "required_group", "logo"}
# Members for a shared secret, which a public document must not contain (section 4.1).
_SECRETS = {"client_secret", "client_secret_expires_at"}
# Members with URLs that people open, or to which this site sends requests.
_URLS = {"client_uri", "policy_uri", "tos_uri", "jwks_uri", "backchannel_logout_uri"}
# The statuses of a host that cannot handle the request now. If they counted as refusals, an
# attacker who makes a host limit its requests could stop its apps for everybody.
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json", re.ASCII)
_MAX_AGE = re.compile(r"max-age=(\d{1,9})(?![\d.])", re.ASCII)


class _NoResponse(Exception):
    """The response of the host is missing, late or too long, or its status asks to retry later."""


def must_be_read(client: Client) -> bool:
    """Return whether the document of ``client`` must be fetched before the app may be used again.

    Return False if the app has no document, or if an operator has disabled the app.
    """
    if not uris.is_allowed(client.pk) or client.disabled_at is not None:
        return False
    due_at = client.document_due_at
    # Another request may be reading a document that was refused or is too old. Until it has
    # finished, nobody may use the former document.
    return due_at is None or not _is_fresh(client) or clock.is_past(due_at, MOST_AGE)


def read(client_id: str, reader: User, info: ClientInfo) -> Client:
    """Read the document at ``client_id``, and return the app that it describes.

    Return the stored app if another request is reading the document, if its host does not answer,
    or if too many documents were read or are being read. A document that was refused or is too old
    is not used.

    ``reader``: the signed-in user who wants to sign in to the app.
    ``info``: the client info of this user's browser.

    Raises:
        OAuthError: ``invalid_client``: the document cannot be read, or is not valid.
        RateLimited: too many documents were read for this user or network, or are being read,
            and there is no stored app that may be used.
    """
    former = Client.objects.filter(pk=client_id).first()
    try:
        hit(METADATA_PERSON.of(reader.pk), *around(METADATA_NETWORK, info))
    except RateLimited:
        # Without this, one person could stop the sign-ins of others in the same network.
        if former and _is_fresh(former):
            return former
        raise
    if former and not (must_be_read(former) and _begin(former)):
        return former
    try:
        metadata, age = _fetch(client_id)
        described = _described(client_id, metadata)
    except (_NoResponse, Busy) as error:
        if former and _is_fresh(former):
            return former
        if isinstance(error, Busy):
            raise
        raise _refused(str(error)) from None
    except OAuthError:
        # From now on, no other request may use the former document.
        Client.objects.filter(pk=client_id).update(document_read_at=clock.now() - LAST)
        raise
    return _save(described, age)


def prune() -> int:
    """Delete apps with a document that nobody has connected; return how many were deleted.

    Apps that an operator has disabled or verified are kept.
    """
    now = clock.now()
    unused = Client.objects.filter(
        source=Client.Source.DOCUMENT,
        document_read_at__lte=now - UNUSED,
        document_due_at__lte=now,
        is_verified=False,
        disabled_at=None,
        factor="",
        required_group=None,
    )
    for rows in (Connection, AuthorizationRequest, AppSession):
        unused = unused.exclude(Exists(rows._default_manager.filter(client=OuterRef("pk"))))
    return delete_in_batches(unused)


def _is_fresh(former: Client) -> bool:
    read_at = former.document_read_at
    return read_at is not None and read_at > clock.now() - LAST


def _begin(former: Client) -> bool:
    """Return whether this request must read the document again.

    Only one of several simultaneous requests must. If the former document may not be used, each
    must.
    """
    if not _is_fresh(former):
        return True
    due = Client.objects.filter(pk=former.pk, document_due_at=former.document_due_at)
    return bool(due.update(document_due_at=clock.now() + PAUSE))


def _fetch(url: str) -> tuple[Any, timedelta]:
    """Fetch and parse the document at ``url``; return it, and how long it may be used.

    Raises:
        OAuthError: the response is a redirect, is not JSON, or has a status that says that
            there is no document.
        _NoResponse: the response is late, too long, or has the status 408, 425, 429 or 5xx.
        Busy: too many documents are being read.
    """
    import requests  # noqa: PLC0415 it takes 10 MB

    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    host = uris.document_host(url)
    try:
        answer = http_client.talk(
            f"document {host}",
            lambda: http_client.session().get(url),
            group=http_client.OF_APPS,
            longest_response=LONGEST,
        )
    except http_client.TooLong:
        raise _NoResponse(f"It has more than {LONGEST} bytes.") from None
    except (requests.ConnectionError, requests.Timeout, http_client.Unreachable):
        raise _NoResponse("Its host does not answer.") from None
    except requests.RequestException:
        raise _refused("It must not be a redirect.") from None
    if answer.status_code in _LATER or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _NoResponse(f"Its host has answered with the status {answer.status_code}.")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if answer.status_code != HTTPStatus.OK or not _JSON.fullmatch(kind):
        raise _refused("It must have the status 200 and the type application/json.")
    try:
        return json.loads(answer.content), _age(answer.headers.get("Cache-Control", ""))
    except (ValueError, RecursionError):
        raise _refused("It is no JSON.") from None


def _age(cache_control: str) -> timedelta:
    """Return how long a document with this Cache-Control may be used (RFC 9111 section 5.2.2)."""
    words = cache_control.lower()
    if "no-store" in words or "no-cache" in words:
        return LEAST_AGE
    found = _MAX_AGE.search(words)
    age = timedelta(seconds=int(found[1])) if found else USUAL_AGE
    return min(max(age, LEAST_AGE), MOST_AGE)


def _described(client_id: str, metadata: Any) -> Client:
    """Return the unsaved app that the document describes.

    Leave out URLs at other hosts, and redirect URIs that this site does not allow, because a
    document is written for many providers with different rules.

    Raises:
        OAuthError: the document names another client ID, has a secret or keys, is not valid, or
            would change the identifiers of people who use the app.
    """
    if not isinstance(metadata, dict) or metadata.get("client_id") != client_id:
        raise _refused("Its client_id must be its URL.")
    method = metadata.get("token_endpoint_auth_method", "none")
    is_public = method == "none"
    foreign = {name for name in _URLS & metadata.keys() if not _is_at(metadata[name], client_id)}
    given = {name: value for name, value in metadata.items() if name not in foreign}
    if isinstance(sent := given.get("redirect_uris"), list):
        given["redirect_uris"] = [
            uri
            for uri in sent
            if isinstance(uri, str)
            and uris.may_register(uri, is_public=is_public, may_be_localhost=is_public)
        ]
    try:
        client = client_metadata.read(
            given | {"token_endpoint_auth_method": method}, _may_grant(), Client.Source.DOCUMENT
        )
    except OAuthError as error:
        raise _refused(error.description) from None
    if client.has_secret or _SECRETS & metadata.keys():
        raise _refused("It must not use a secret.")
    if client.jwks:
        # The token endpoint does not read documents, so a removed key would still work there.
        raise _refused("It must publish its keys at a jwks_uri.")
    client.pk = client_id
    if not client.keeps_subjects:
        raise _refused("It must not change its sector or subject_type, because people use the app.")
    return client


def _may_grant() -> list[str]:
    """Return the scopes that an app with a metadata document may have."""
    services = settings.AUTHSITE.client_metadata_audiences
    defined = [name for audience in services for name in scopes.of_service(audience)]
    return [*scopes.DEFAULT.split(), OFFLINE, *dict.fromkeys(defined)]


def _is_at(url: Any, client_id: str) -> bool:
    """Return whether ``url`` is a URL at the host of ``client_id``."""
    return isinstance(url, str) and url.startswith(f"https://{uris.document_host(client_id)}/")


def _save(described: Client, age: timedelta) -> Client:
    """Save the app, except the fields ``KEPT`` of a stored app; return the stored app."""
    described.document_read_at = now = clock.now()
    described.document_due_at = now + age
    left_out = KEPT | {"id", "created_at", "disabled_at"}
    fields = [field for field in Client._meta.concrete_fields if field.name not in left_out]
    values = {field.attname: getattr(described, field.attname) for field in fields}
    # If the name changes, the operator's verification is no longer about this app.
    Client.objects.filter(pk=described.pk).exclude(name=described.name).update(is_verified=False)
    # A new app is not verified.
    client, is_new = Client.objects.update_or_create(
        pk=described.pk, defaults=values, create_defaults=values | {"is_verified": False}
    )
    if is_new:
        id_tokens.be_ready()
    return client


def _refused(sentence: str) -> OAuthError:
    return OAuthError(
        "invalid_client", f"The metadata document of the client cannot be used. {sentence}"
    )
