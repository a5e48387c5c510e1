"""The content of an email, from which its plain text and its HTML part are rendered."""

import json
from dataclasses import asdict, dataclass, field
from email.utils import formataddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.common.languages import speaking, spoken


@dataclass(frozen=True, kw_only=True)
class Message:
    """The content of an email to one address. Its texts are in the recipient's ``language``."""

    to: str
    subject: str
    paragraphs: list[str]
    greeting: str = ""
    code: str = ""
    action_label: str = ""
    action_url: str = ""
    closing: list[str] = field(default_factory=list)
    language: str = field(default_factory=spoken)

    def to_json(self) -> str:
        """Return the message as JSON, which is how the outbox stores it."""
        return json.dumps(asdict(self))

    def email(self, message_id: str) -> EmailMultiAlternatives:
        """Return the email that is sent for this message.

        ``message_id`` is the part of the ``Message-ID`` before the @. Use the same value if the
        email is sent again (RFC 5322 section 3.6.4).
        """
        config = settings.AUTHSITE
        context = {**asdict(self), "site_name": config.site_name, "origin": config.origin}
        with speaking(self.language):
            text = render_to_string("accounts/mail/message.txt", context)
            html = render_to_string("accounts/mail/message.html", context)
        mail = EmailMultiAlternatives(
            subject=self.subject,
            body=text,
            from_email=formataddr((config.site_name, config.mail_from)),
            to=[self.to],
            headers={
                "Message-ID": f"<{message_id}@{config.hostname}>",
                "Auto-Submitted": "auto-generated",
            },
        )
        mail.attach_alternative(html, "text/html")
        return mail
