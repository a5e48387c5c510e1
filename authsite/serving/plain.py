"""``python -m authsite.serving.plain``: the plain HTTP server next to the site's TLS server.

The plain server redirects each request to the same page under ORIGIN, and answers ACME challenges
(RFC 8555 section 8.3). It uses no cookies, no forms and no database.
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
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from authsite.serving import answers
from authsite.serving.server import CONNECTIONS, HTTP1, end_with_parent

# The token has only characters that RFC 8555 allows. Without dots and slashes, the path of the file
# cannot leave its folder.
CHALLENGE = re.compile(rb"/\.well-known/acme-challenge/([A-Za-z0-9_-]{1,128})")
LARGEST_ANSWER = 4096
LONGEST_BODY = 2_621_440
BODY_SECONDS = 10.0
# The characters that a Location header may contain as they are; all others are percent-encoded.
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
        http=HTTPModes.http1,
        http1_settings=HTTP1,
        backpressure=CONNECTIONS,
        websockets=False,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
        log_dictconfig=settings.LOGGING,
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

    The body of the request is read and ignored. If the connection were closed with unread bytes, it
    would be reset and the client could lose the response. At most ``LONGEST_BODY`` bytes are read,
    and not after ``BODY_SECONDS``.
    """
    with suppress(TimeoutError):
        await asyncio.wait_for(_read(receive), BODY_SECONDS)
    status, more, body = answer(scope["raw_path"], scope["query_string"])
    pairs = (answers.headers() | more).items()
    headers = [(name.lower().encode(), value.encode()) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Callable[[], Awaitable[Message]]) -> None:
    left = LONGEST_BODY
    while left > 0 and (message := await receive()).get("more_body"):
        left -= len(message["body"])


def answer(path: bytes, query: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of the response. They are the same for all methods.

    A redirect leads to a URL under ORIGIN, whatever the Host header says. The targets of ``OPTIONS
    *`` and ``CONNECT`` are not paths. They are replaced by ``/``, because they would change the
    host name of the redirect.
    """
    if challenge := CHALLENGE.fullmatch(path):
        content = _challenge(settings.AUTHSITE.acme_webroot, challenge[1].decode())
        return (404, {}, b"") if content is None else (200, {}, content)
    target = path if path.startswith(b"/") else b"/"
    location = quote(target + (b"?" + query if query else b""), safe=UNQUOTED)
    return 301, {"Location": settings.AUTHSITE.origin + location}, b""


def _challenge(webroot: str, token: str) -> bytes | None:
    """Return the content that the ACME client has stored for ``token``, or None if missing."""
    file = Path(webroot) / ".well-known/acme-challenge" / token
    try:
        return file.read_bytes()[:LARGEST_ANSWER] if webroot else None
    except OSError:
        return None


if __name__ == "__main__":
    main()
