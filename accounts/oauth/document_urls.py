"""Decides which client IDs are URLs of documents that this site may read about apps.

Such a client ID is the URL of a client ID metadata document
(draft-ietf-oauth-client-id-metadata-document-02). Everything else is the ID of a registered app.
"""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.admin.utils import quote, unquote
from django.urls import register_converter
from django.urls.converters import StringConverter

# Without a query, so that a host has no endless number of them. Characters are not encoded, so that
# no two of them are the URL of the same document, and none has a hidden dot segment.
_URL = re.compile(r"https://([a-z0-9.-]+(?::\d{1,5})?)((?:/[A-Za-z0-9._~-]+)+/?)", re.ASCII)
_DOT_SEGMENT = re.compile(r"/\.\.?(?:/|$)")


def is_url(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL. The IDs of registered apps are none."""
    return client_id.startswith("https://")


def is_allowed(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL at a host that the operator names.

    Hosts are compared as they are written, with the port: ``CLIENT_METADATA_HOSTS`` has neither
    capitals nor the port 443.
    """
    found = _URL.fullmatch(client_id)
    if found is None or _DOT_SEGMENT.search(found[2]):
        return False
    return found[1] in settings.AUTHSITE.client_metadata_hosts


def is_withdrawn(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL at a host that the operator does not name, or no more.

    Its app can do nothing, even if its document was read before.
    """
    return is_url(client_id) and not is_allowed(client_id)


def host_of(client_id: str) -> str:
    """Return the host of the URL ``client_id``, with its port; "" if it is the ID of another app.

    International names stay in their ASCII form, which has no lookalikes.
    """
    return urlsplit(client_id).netloc if is_url(client_id) else ""


class ClientID(StringConverter):
    """A client ID in a path, in which URLs are quoted as Django's admin does it.

    Proxies change ``//`` and ``%2F`` in paths.
    """

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        return quote(value)


register_converter(ClientID, "client_id")
