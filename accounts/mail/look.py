"""The brand in emails: its colours, its links, and its logo, which is a part of the email."""

import struct
from email.header import Header
from email.message import EmailMessage
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from accounts.common.brand import email_colours
from accounts.common.brand_settings import PNG, BrandSettings, File, Logo
from accounts.common.links import absolute

# The largest size of the logo on pages, in CSS pixels.
LOGO_WIDTH, LOGO_HEIGHT = 160, 36


class BrandedEmail(EmailMultiAlternatives):
    """An email whose HTML part contains the logo, because mail programs load no remote images."""

    def message(self, **options: Any) -> EmailMessage:
        """Return the email with the logos as parts that the HTML part refers to (RFC 2392)."""
        message = super().message(**options)
        if not self.subject.isascii():
            # Python puts no space between the encoded words of a long header (RFC 2047 section 2).
            del message["Subject"]
            subject = Header(str(self.subject), "utf-8", header_name="Subject")
            message.set_raw("Subject", subject.encode())
        if html := message.get_body(("html",)):
            for cid, content in _logos(settings.AUTHSITE).items():
                html.add_related(content, "image", "png", cid=f"<{cid}>", disposition="inline")
        return message


def context(config: Any) -> dict[str, Any]:
    """Return what the templates of emails show of the brand that ``config`` describes."""
    light, dark = email_colours(config)
    return {
        "site_name": config.site_name,
        "origin": config.origin,
        "light": light,
        "dark": dark,
        "logos": {cid: _size(content) for cid, content in _logos(config).items()},
        "has_own_logo": bool(config.site_logo),
        "help_url": absolute("help"),
        "support": config.site_support.removeprefix("mailto:"),
        "support_url": config.site_support,
        "links": [
            {"name": link.name, "url": _absolute_url(link.url)} for link in config.site_links
        ],
    }


def support_email(config: BrandSettings) -> str:
    """Return the email address of ``SITE_SUPPORT``, or an empty string if it is none."""
    address = config.site_support.partition("?")[0]
    return address.removeprefix("mailto:") if address.startswith("mailto:") else ""


def _absolute_url(url: str) -> str:
    return f"{settings.AUTHSITE.origin}{url}" if url.startswith("/") else url


def _logos(config: BrandSettings) -> dict[str, bytes]:
    """Return the logos by Content-ID. Most mail programs show PNG, but no SVG."""
    logos: dict[str, Logo] = {"logo": config.site_logo, "logo-dark": config.site_logo_dark}
    files = {cid: logo for cid, logo in logos.items() if isinstance(logo, File)}
    found = {cid: file.content for cid, file in files.items() if file.type == PNG}
    return found if "logo" in found else {}


def _size(png: bytes) -> dict[str, int]:
    """Return the width and height at which to show a PNG image.

    Some mail programs ignore ``max-width``, so the email states the size in pixels.
    """
    # The IHDR chunk begins with both (PNG Specification, section 11.2.2).
    width, height = struct.unpack(">II", png[16:24])
    scale = min(1, LOGO_WIDTH / max(width, 1), LOGO_HEIGHT / max(height, 1))
    return {"width": round(width * scale), "height": round(height * scale)}
