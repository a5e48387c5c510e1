"""The seed of an authenticator app as a URI (Key Uri Format) and as a QR code."""

import base64
from itertools import groupby
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.users.models import User

# Scanners need a margin of four modules (ISO/IEC 18004).
QUIET_ZONE = 4


def base32(seed: str) -> str:
    """Return the hexadecimal ``seed`` in base32, as people type it (RFC 4648 section 6)."""
    return base64.b32encode(bytes.fromhex(seed)).decode()


def uri(user: User, seed: str) -> str:
    """Return the percent-encoded ``otpauth:`` URI that adds ``user`` to an authenticator app."""
    # A colon separates issuer and account in the label.
    issuer = settings.AUTHSITE.site_name.replace(":", "")
    label = f"{quote(issuer, safe='')}:{quote(user.email or user.username, safe='@')}"
    query = {
        "secret": base32(seed),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": 6,
        "period": 30,
    }
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"


def svg(text: str) -> SafeString:
    """Return a QR code of ``text`` as inline SVG.

    It is black on white in dark mode too, and needs neither ``style`` nor ``data:``, which the
    Content Security Policy blocks. Its alternative text does not contain ``text``, a secret.
    """
    import qrcode  # noqa: PLC0415 only the page with the QR code needs it

    # A screen shows the code undamaged, so the lowest error correction is enough.
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, border=0)
    code.add_data(text)
    code.make()
    modules = code.get_matrix()
    path = "".join(f"M0 {y}{_line(row)}" for y, row in enumerate(modules))
    return format_html(
        '<svg class="qr" role="img" aria-label="{}" viewBox="{edge} {edge} {size} {size}" '
        'shape-rendering="crispEdges"><path fill="#fff" d="M{edge} {edge}h{size}v{size}h-{size}z"/>'
        '<path stroke="#000" transform="translate(0 .5)" d="{}"/></svg>',
        _(
            "QR code for adding this account to an authenticator app. You can enter the "
            "key beside it instead."
        ),
        path,
        edge=-QUIET_ZONE,
        size=len(modules) + 2 * QUIET_ZONE,
    )


def _line(row: list[bool]) -> str:
    """Return the path of a row of modules: a stroke for each dark run, a move for each light one.

    One square for each module would make the page three times as large.
    """
    runs = ((is_dark, len(list(run))) for is_dark, run in groupby(row))
    return "".join(f"h{length}" if is_dark else f"m{length} 0" for is_dark, length in runs)
