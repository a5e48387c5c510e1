"""The content of an email, from which its plain text and its HTML part are rendered."""

import json
from dataclasses import asdict, dataclass, field
from email.utils import formataddr
from textwrap import TextWrapper

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from accounts.common.languages import speaking, spoken
from accounts.mail import look
from accounts.mail.look import BrandedEmail

# The length of a line of plain text (RFC 3676 section 4.2 recommends at most 78).
LINE = 72
# Why an email goes to its address. The second also fits an address that may belong to a thief.
TO_OWNER = _(
    "Sent to %(email)s because this address belongs to the account %(username)s at %(site)s."
)
TO_DOUBTFUL = _(
    "Sent to %(email)s because this address belongs, or used to belong, to an account at %(site)s."
)


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
        """The heading or else the subject; empty if that contains the code."""
        title = self.heading or self.subject
        return "" if self.code and self.code in title else title

    def to_json(self) -> str:
        """Return the message as JSON, which is how the outbox stores it."""
        return json.dumps(asdict(self))

    def email(self, message_id: str) -> EmailMultiAlternatives:
        """Return the email that is sent for this message.

        ``message_id`` is the part of the ``Message-ID`` before the @. Use the same value if the
        email is sent again (RFC 5322 section 3.6.4).
        """
        config = settings.AUTHSITE
        context = asdict(self) | look.context(config)
        context |= {"heading": self.heading or self.subject, "fact_lines": self._fact_lines()}
        with speaking(self.language):
            text = render_to_string("accounts/mail/message.txt", context)
            html = render_to_string("accounts/mail/message.html", context)
        mail = BrandedEmail(
            subject=self.subject,
            body=text,
            from_email=formataddr((config.site_name, config.mail_from)),
            to=[self.to],
            reply_to=[look.support_email(config)] if look.support_email(config) else None,
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
                LINE,
                initial_indent=" " * width if n else f"  {label}:".ljust(width),
                subsequent_indent=" " * width,
                break_long_words=False,
                break_on_hyphens=False,
            ).wrap(part)
        ]
