"""The content of an email, rendered as plain text and as HTML in the operator's brand."""

import json
import re
from dataclasses import asdict, dataclass, field
from email.header import Header
from email.message import EmailMessage
from email.utils import formataddr
from textwrap import TextWrapper
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.common.brand.files import (
    BrandSettings,
    File,
    brand_of,
    email_colours,
    png_of,
    png_size,
)
from accounts.common.localization import speaking, spoken
from accounts.common.pages import absolute

# The maximum size of the logo on pages, in CSS pixels.
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


def brand_context(config: Any) -> dict[str, Any]:
    """Return the context of email templates: the name, colours, logos and links of the site."""
    light, dark = email_colours(config)
    return {
        "site_name": config.site_name,
        "origin": config.origin,
        "light": light,
        "dark": dark,
        "logos": {cid: _size(content) for cid, content in _logos(config).items()},
        "has_own_logo": bool(config.site_logo),
        "is_wordmark": brand_of(config).is_wordmark,
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
    """Return the logos in PNG format by their Content-ID."""
    logos = {"logo": config.site_logo, "logo-dark": config.site_logo_dark}
    files = {cid: png_of(logo) for cid, logo in logos.items() if isinstance(logo, File)}
    return {cid: png for cid, png in files.items() if png} if files.get("logo") else {}


def _size(png: bytes) -> dict[str, int]:
    """Return the width and height at which to show a PNG image.

    Some mail programs ignore ``max-width``, so the email states the size in pixels.
    """
    width, height = png_size(png)
    scale = min(1, LOGO_WIDTH / max(width, 1), LOGO_HEIGHT / max(height, 1))
    return {"width": round(width * scale), "height": round(height * scale)}


# The length of a line of plain text (RFC 3676 section 4.2 recommends at most 78).
LINE_LENGTH = 72
# The reasons why an email was sent to its address. The second one also fits an address that may
# belong to a thief.
TO_OWNER = _(
    "Sent to %(email)s because this address belongs to the account %(username)s at %(site)s."
)
TO_POSSIBLE_STRANGER = _(
    "Sent to %(email)s because this address belongs, or used to belong, to an account at %(site)s."
)


# Text that may be a URL, an email address or a phone number. The full stops are those that browsers
# accept in domain names.
_LINKABLE = re.compile(r"\S*(?:://|\S[.\u3002\uff0e\uff61@]\w)\S*|\+?\d(?:[\s()/.-]{0,3}\d){6,}")
_QUOTES = str.maketrans(dict.fromkeys('"“”„«»', "’"))


def staff_note(reason: str) -> list[tuple[str, str]]:
    """Return table rows that quote ``reason``, a text that a member of staff has typed.

    The text must not look like a text of the site, so its quotes and line breaks are removed.
    Invisible word joiners (U+2060) keep mail programs from turning URLs and phone numbers into
    links.
    """
    text = " ".join(reason.translate(_QUOTES).split())
    plain = _LINKABLE.sub(lambda found: re.sub(r"(?<=\W|\d)", "\u2060", found[0]), text)
    rows = [(gettext("Note from support"), gettext("“%(text)s”") % {"text": plain})]
    if plain != text:
        warning = gettext(
            "We didn’t check the links and numbers in this note. Never share a password or code."
        )
        rows.append((gettext("Be careful"), warning))
    return rows


REQUIRED = {"to", "subject"}


class NewerMessage(Exception):
    """A newer release has written the message, and only a newer release can send all of it."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """The content of an email to one address. Its texts are in the recipient's ``language``.

    Attributes:
        to: the email address; empty if the email is not sent.
        subject: the subject, which is also the heading, unless ``heading`` is given.
        greeting: the first paragraph, such as "Hello alice,".
        paragraphs: the text below the heading.
        code: a code to type in.
        facts: the rows of the table, each a label and a value. A value can have several lines.
        questions: what the reader may ask, such as "Was this you?", each with its answer.
        action_label: the text of the button.
        action_url: where the button leads.
        closing: the text below the button.
        reason: why the email goes to this address.
        language: the code of the language.
    """

    to: str
    subject: str
    heading: str = ""
    greeting: str = ""
    paragraphs: list[str] = field(default_factory=list)
    code: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)
    action_label: str = ""
    action_url: str = ""
    closing: list[str] = field(default_factory=list)
    reason: str = ""
    language: str = field(default_factory=spoken)

    @property
    def title(self) -> str:
        """The heading, or else the subject; empty if the subject contains the code."""
        title = self.heading or self.subject
        return "" if self.code and self.code in title else title

    def to_json(self) -> str:
        """Return the message as JSON, for the outbox.

        Empty fields are left out, so that older releases can read messages without newer fields.
        """
        members = asdict(self).items()
        return json.dumps({name: value for name, value in members if value or name in REQUIRED})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the message that :meth:`to_json` has converted.

        Raises:
            NewerMessage: it has fields that this release does not know.
        """
        members = json.loads(text)
        if not members.keys() <= cls.__dataclass_fields__.keys():
            raise NewerMessage
        return cls(**members)

    def email(self, message_id: str) -> EmailMultiAlternatives:
        """Return the email that is sent for this message.

        ``message_id`` is the part of the ``Message-ID`` before the @. Use the same value if the
        email is sent again (RFC 5322 section 3.6.4).
        """
        config = settings.AUTHSITE
        context = asdict(self) | brand_context(config)
        context |= {"heading": self.heading or self.subject, "fact_lines": self._fact_lines()}
        with speaking(self.language):
            text = render_to_string("accounts/mail/message.txt", context)
            html = render_to_string("accounts/mail/message.html", context)
        mail = BrandedEmail(
            subject=self.subject,
            body=text,
            from_email=formataddr((config.site_name, config.mail_from)),
            to=[self.to],
            reply_to=[support_email(config)] if support_email(config) else None,
            headers={
                "Message-ID": f"<{message_id}@{config.hostname}>",
                "Auto-Submitted": "auto-generated",
            },
        )
        mail.attach_alternative(html, "text/html")
        return mail

    def _fact_lines(self) -> list[str]:
        """Return the table as lines of text, with the values in one column."""
        width = max((len(label) for label, _value in self.facts), default=0) + 5
        return [
            line
            for label, value in self.facts
            for n, part in enumerate(value.splitlines())
            for line in TextWrapper(
                LINE_LENGTH,
                initial_indent=" " * width if n else f"  {label}:".ljust(width),
                subsequent_indent=" " * width,
                break_long_words=False,
                break_on_hyphens=False,
            ).wrap(part)
        ]
