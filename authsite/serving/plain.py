"""``python -m authsite.serving.plain``: the plain HTTP server next to the site's TLS server.

The plain server redirects each request to the same page under ORIGIN, and answers ACME challenges
(RFC 8555 section 8.3). It uses no cookies, no forms and no database. granian itself cannot do this,
because its responses with files reveal its name, and lack the site's headers. A second instance of
the site would refuse other Host headers, and needs three times the memory.
"""

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from granian import Granian
from granian.constants import Interfaces

from authsite.serving import capacity
from authsite.serving.server import OPTIONS, end_with_parent

# The token contains only characters that RFC 8555 allows. Without dots and slashes, the path of the
# file cannot leave its folder.
ACME_CHALLENGE = re.compile(rb"/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,128}")
LARGEST_CHALLENGE = 4096
BODY_SECONDS = 10.0
# The characters that a Location header may contain; all others are percent-encoded.
UNQUOTED = "%/:?#[]@!$&'()*+,;=-._~"
type Message = dict[str, Any]


def main() -> None:
    """Serve plain HTTP until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    address, port = settings.AUTHSITE.bind, settings.AUTHSITE.redirect_port
    end_with_parent()
    server = Granian(
        "authsite.serving.plain:application",
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        log_dictconfig=settings.LOGGING,
        **OPTIONS,
    )
    try:
        server.serve()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        sys.exit(f"authsite does not start at {address}:{port}:\n{reason}")


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer a request with a redirect to ORIGIN, or with the content of an ACME challenge.

    The body of the request is read for at most ``BODY_SECONDS``, and ignored. If the connection
    were closed with unread bytes, it would be reset and the client could lose the response.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_SECONDS):
            while (await receive()).get("more_body"):
                pass
    status, more, body = response_to(scope["raw_path"], scope["query_string"])
    pairs = (capacity.own_headers() | more).items()
    headers = [(name.lower().encode(), value.encode()) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def response_to(path: bytes, query: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of the response, which do not depend on the method.

    A redirect leads to a URL under ORIGIN, whatever the Host header says. The targets of ``OPTIONS
    *`` and ``CONNECT`` are not paths. They are replaced with ``/``, because they would change the
    host name of the redirect.
    """
    webroot = settings.AUTHSITE.acme_webroot
    if webroot and ACME_CHALLENGE.fullmatch(path):
        try:
            return 200, {}, Path(webroot, path.decode()[1:]).read_bytes()[:LARGEST_CHALLENGE]
        except OSError:
            return 404, {}, b""
    target = path if path.startswith(b"/") else b"/"
    location = quote(target + (b"?" + query if query else b""), safe=UNQUOTED)
    return 301, {"Location": settings.AUTHSITE.origin + location}, b""


if __name__ == "__main__":
    main()
