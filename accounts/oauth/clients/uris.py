"""Decides which redirect URIs an app may register, and which client IDs are URLs of documents.

A redirect URI receives the authorization code. A request must therefore name exactly one that the
app has registered (RFC 9700 section 2.1). Only the port of a loopback address may differ, because a
program on a person's computer cannot choose it in advance (RFC 8252 section 7.3).

A client ID may be the URL of a client ID metadata document
(draft-ietf-oauth-client-id-metadata-document-02). Everything else is the ID of a registered app.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import ValidationError
from django.urls import register_converter
from django.urls.converters import StringConverter
from django.utils.translation import gettext as _

LONGEST, LONGEST_HOST = 1000, 253
MOST_URIS = 50
# The characters of paths (RFC 3986 section 3.3), without "*", which looks like a wildcard.
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})"
_QUERY = rf"(?:\?(?:{_CHARACTER}|[/?])*)?"
_REST = rf"(?:/(?:{_CHARACTER}|/)*)?{_QUERY}"
_HOST = r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])"
_WEB = re.compile(rf"https://{_HOST}(?::\d{{1,5}})?{_REST}", re.ASCII)
_LOOPBACK = re.compile(
    rf"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::\d{{1,5}})?({_REST})", re.ASCII
)
# The scheme of an app is a reversed domain name (RFC 8252 section 7.1), which contains a dot.
# Schemes that a browser runs or displays, such as javascript, data or file, contain no dot.
_APP = re.compile(rf"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/(?:{_CHARACTER}|/)*{_QUERY}", re.ASCII)


def may_register(uri: str, *, is_public: bool, may_be_localhost: bool = False) -> bool:
    """Return whether an app may register the redirect URI ``uri``.

    ``is_public``: whether the app has no secret. Only such an app can run on a person's device, and
        can use a loopback address or its own scheme.
    ``may_be_localhost``: whether the host may be ``localhost``, which may resolve to another host
        (RFC 8252 section 8.3). An app with a secret may then use any loopback address.
    """
    forms = {_WEB: True, _LOOPBACK: is_public or may_be_localhost, _APP: is_public}
    is_named = uri.startswith("http://localhost") and not may_be_localhost
    is_form = any(form.fullmatch(uri) for form, is_allowed in forms.items() if is_allowed)
    is_right = len(uri) <= LONGEST and is_form
    return is_right and not is_named and _has_valid_host(uri)


def check(uri: str, *, is_public: bool, may_be_localhost: bool = False) -> None:
    """Require that an app may register ``uri``, by the rules of :func:`may_register`.

    Raises:
        ValidationError: the app may not register ``uri``.
    """
    if may_register(uri, is_public=is_public, may_be_localhost=may_be_localhost):
        return
    message = (
        _(
            "“%(uri)s” isn’t allowed. A public app’s URIs begin with https://, http://127.0.0.1, "
            "http://[::1] or a scheme such as org.example.app:/, and have no username, wildcard "
            "or fragment."
        )
        if is_public
        else _(
            "“%(uri)s” isn’t allowed. The URIs begin with https:// and a host in lower case, and "
            "have no username, wildcard or fragment."
        )
    )
    raise ValidationError(message % {"uri": uri[:LONGEST]})


def check_all(uris: Collection[str], *, is_public: bool, may_be_localhost: bool) -> None:
    """Require that an app may register all of ``uris``. The options are as for :func:`check`.

    Raises:
        ValidationError: there are too many URIs, or the app may not register one of them.
    """
    if len(uris) > MOST_URIS:
        raise ValidationError(_("Enter at most %(count)s URIs.") % {"count": MOST_URIS})
    for uri in uris:
        check(uri, is_public=is_public, may_be_localhost=may_be_localhost)


def check_called(uri: str, *, may_be_private: bool) -> None:
    """Require that this site may send requests for an app to ``uri``, which may be empty.

    ``may_be_private``: whether requests to private IP addresses are allowed.

    Raises:
        ValidationError: an app may not register ``uri``; or ``uri`` names a private IP address
            or this machine, and ``may_be_private`` is False.
    """
    if uri:
        check(uri, is_public=False)
    if names_private_host(uri) and not may_be_private:
        raise ValidationError(_("This URI is in a private network. Tick the box that allows this."))


def is_registered(registered: Collection[str], given: str) -> bool:
    """Return whether ``given`` is one of the ``registered`` redirect URIs."""
    without_port = _without_port(given)
    return given in registered or (
        without_port is not None and without_port in map(_without_port, registered)
    )


def is_claimed(uri: str) -> bool:
    """Return whether only the app itself can receive what is sent to ``uri``.

    Any program on the same device can listen at a loopback address, or claim a scheme (RFC 8252
    section 8.6).
    """
    return uri.startswith("https://")


def host_of(uri: str) -> str:
    """Return the host of ``uri`` in ASCII; an empty string if the app is a program on the device.

    The ASCII form of international names has no lookalikes.
    """
    return urlsplit(uri).netloc if is_claimed(uri) else ""


def sector_of(uris: Collection[str]) -> str:
    """Return the common host of all ``uris``, without the port (OpenID Connect Core section 8.1).

    Return an empty string if they have several hosts, or if one belongs to a program on the device.
    """
    hosts = {urlsplit(uri).hostname or "" if is_claimed(uri) else "" for uri in uris}
    return hosts.pop() if len(hosts) == 1 else ""


def is_host(text: str) -> bool:
    """Return whether ``text`` is a host in lower case, without a port."""
    return len(text) <= LONGEST_HOST and re.fullmatch(_HOST, text, re.ASCII) is not None


def forward_callback(host: str) -> str:
    """Return the redirect URI of the app at ``host``, which uses forward authentication."""
    return f"https://{host}/auth/forward/callback"


def names_private_host(uri: str) -> bool:
    """Return whether ``uri`` names a private IP address, or this machine.

    Other host names are not looked up, because their IP addresses can change.
    """
    host = urlsplit(uri).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False


def _without_port(uri: str) -> tuple[str, ...] | None:
    """Return a loopback URI without its port; None for any other URI."""
    found = _LOOPBACK.fullmatch(uri)
    return found.groups() if found and _has_valid_host(uri) else None


def _has_valid_host(uri: str) -> bool:
    """Return whether the port and the IPv6 address of ``uri`` are valid, if it has them."""
    try:
        return urlsplit(uri).port != 0
    except ValueError:
        return False


# A query is not allowed, because a host could then have any number of apps. Encoded characters are
# not allowed, so that a document has only one URL, and no dot segment is hidden.
_URL = re.compile(r"https://([a-z0-9.-]+(?::\d{1,5})?)((?:/[A-Za-z0-9._~-]+)+/?)", re.ASCII)
_DOT_SEGMENT = re.compile(r"/\.\.?(?:/|$)")


def is_url(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL. The client IDs of registered apps are not URLs."""
    return client_id.startswith("https://")


def is_allowed(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL at a host that the operator has allowed.

    Host and port must be written exactly as in ``CLIENT_METADATA_HOSTS``, which contains no capital
    letters and no port 443.
    """
    found = _URL.fullmatch(client_id)
    if found is None or _DOT_SEGMENT.search(found[2]):
        return False
    return found[1] in settings.AUTHSITE.client_metadata_hosts


def is_withdrawn(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL that is not, or no longer, allowed.

    An app with such a client ID can do nothing, even if this site has read its document before.
    """
    return is_url(client_id) and not is_allowed(client_id)


def document_host(client_id: str) -> str:
    """Return the host of the URL ``client_id``, with its port; "" if ``client_id`` is not a URL.

    The ASCII form of international names has no lookalikes.
    """
    return urlsplit(client_id).netloc if is_url(client_id) else ""


class ClientID(StringConverter):
    """A client ID in a path. Special characters are quoted as Django's admin quotes keys.

    Percent-encoding would not be enough, because proxies change ``//`` and ``%2F`` in paths.
    """

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        return quote(value)


register_converter(ClientID, "client_id")
