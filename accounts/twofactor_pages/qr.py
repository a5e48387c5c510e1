"""The seed of an authenticator app as a URI (Key Uri Format) and as a QR code."""

import base64
from urllib.parse import quote, urlencode

import qrcode
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from qrcode.constants import ERROR_CORRECT_M

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
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make()
    modules = code.get_matrix()
    path = "".join(
        f"M{x},{y}h1v1h-1z"
        for y, row in enumerate(modules)
        for x, is_dark in enumerate(row)
        if is_dark
    )
    return format_html(
        '<svg class="qr" role="img" aria-label="{}" viewBox="0 0 {size} {size}" '
        'shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#fff"/>'
        '<path fill="#000" d="{}"/></svg>',
        _("QR code that adds this account to an authenticator app. The key beside it does too."),
        path,
        size=len(modules),
    )
