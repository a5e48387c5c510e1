"""``python -m authsite.serving.plain``: plain HTTP beside the site's own TLS.

It redirects to the same page under ORIGIN and answers ACME challenges (RFC 8555 section 8.3). It
knows no cookie, no form and no database.
"""

import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from authsite.serving.server import end_with_parent

# All that RFC 8555 lets a token be made of: no dot and no slash, so it leads nowhere else.
CHALLENGE = re.compile(rb"/\.well-known/acme-challenge/([A-Za-z0-9_-]{1,128})")
LARGEST_ANSWER = 4096
LONGEST_BODY = 2_621_440
# What may stand in a Location as it came; everything else is written with %.
AS_IT_IS = "%/:?#[]@!$&'()*+,;=-._~"
type Message = dict[str, Any]


def main() -> None:
    """Serve until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    address, port = settings.AUTHSITE.bind, settings.AUTHSITE.redirect_port
    end_with_parent()
    server = Granian(
        "authsite.serving.plain:application",
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
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
    """One answer, after a body of any form's length, which isn't looked at.

    A connection that is closed on bytes that nobody has read is reset, and the answer lost.
    """
    left = LONGEST_BODY
    while left > 0 and (message := await receive()).get("more_body"):
        left -= len(message["body"])
    status, more, body = answer(scope["raw_path"], scope["query_string"])
    headers = [(n.lower().encode(), v.encode()) for n, v in (_headers() | more).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def answer(path: bytes, query: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for a request of any method.

    The target is ORIGIN whatever the Host says, and a path always follows it: ``OPTIONS *`` and
    ``CONNECT`` have none, and would be appended to the name.
    """
    if challenge := CHALLENGE.fullmatch(path):
        found = _challenge(settings.AUTHSITE.acme_webroot, challenge[1].decode())
        return (404, {}, b"") if found is None else (200, {}, found)
    target = path if path.startswith(b"/") else b"/"
    location = quote(target + (b"?" + query if query else b""), safe=AS_IT_IS)
    return 301, {"Location": settings.AUTHSITE.origin + location}, b""


def _headers() -> dict[str, str]:
    """What every answer of the site has, as far as it means anything here."""
    return {
        "Server": "web",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Content-Type": "text/plain",
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": settings.PERMISSIONS_POLICY,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
    }


def _challenge(webroot: str, token: str) -> bytes | None:
    """What the ACME client has put there."""
    file = Path(webroot) / ".well-known/acme-challenge" / token
    try:
        return file.read_bytes()[:LARGEST_ANSWER] if webroot else None
    except OSError:
        return None


if __name__ == "__main__":
    main()
