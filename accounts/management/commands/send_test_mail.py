"""``send_test_mail``: send an email immediately and print the error of the mail server, if any."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from accounts.common import secrets
from accounts.mail.message import Message
from accounts.users import emails


class Command(BaseCommand):
    """Bypasses the outbox, so that the operator sees the error message of the mail server."""

    help = "Send a test email at once and print the error of the mail server, if any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="address", help="email address to send to")

    def handle(self, *_args: Any, email: str, **_options: Any) -> None:
        site = settings.AUTHSITE.site_name
        try:
            message = Message(
                to=emails.clean(email),
                subject=_("Test email from %(site)s") % {"site": site},
                paragraphs=[_("If you can read this, %(site)s can send email.") % {"site": site}],
            )
            message.email(str(secrets.public_id())).send()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except OSError as error:  # an error of smtplib or of the network
            raise CommandError(f"{type(error).__name__}: {error}") from None
        self.stdout.write(f"Sent to {email}.")
