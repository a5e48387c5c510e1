"""Decides which client IDs are URLs of metadata documents that this site may read.

Such a client ID is the URL of a client ID metadata document
(draft-ietf-oauth-client-id-metadata-document-02). Everything else is the ID of a registered app.
"""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.admin.utils import quote, unquote
from django.urls import register_converter
from django.urls.converters import StringConverter

# A query is not allowed, because a host could then have any number of apps. Encoded characters are
# not allowed, so that a document has only one URL, and no dot segment is hidden.
_URL = re.compile(r"https://([a-z0-9.-]+(?::\d{1,5})?)((?:/[A-Za-z0-9._~-]+)+/?)", re.ASCII)
_DOT_SEGMENT = re.compile(r"/\.\.?(?:/|$)")


def is_url(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL. The IDs of registered apps are none."""
    return client_id.startswith("https://")


def is_allowed(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL at a host that the operator names.

    Host and port must be written exactly as in ``CLIENT_METADATA_HOSTS``, which has no capital
    letters and no port 443.
    """
    found = _URL.fullmatch(client_id)
    if found is None or _DOT_SEGMENT.search(found[2]):
        return False
    return found[1] in settings.AUTHSITE.client_metadata_hosts


def is_withdrawn(client_id: str) -> bool:
    """Return whether ``client_id`` is a URL that is not allowed, or is not allowed any more.

    The app of such a URL can do nothing, even if this site has read its document before.
    """
    return is_url(client_id) and not is_allowed(client_id)


def host_of(client_id: str) -> str:
    """Return the host of the URL ``client_id``, with its port; "" if it is the ID of another app.

    International names stay in their ASCII form, which has no lookalikes.
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
