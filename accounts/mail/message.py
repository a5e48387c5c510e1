"""What a mail says. One description gives the plain and the HTML part, so that they agree."""

import json
from dataclasses import asdict, dataclass, field
from email.utils import formataddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.common.languages import speaking, spoken


@dataclass(frozen=True, kw_only=True)
class Message:
    """A mail to one address; every text is already in ``language``, its reader's."""

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
        """As it waits in the outbox."""
        return json.dumps(asdict(self))

    def email(self, message_id: str) -> EmailMultiAlternatives:
        """The mail itself. A second delivery carries the same ``Message-ID`` (RFC 5322 3.6.4)."""
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
