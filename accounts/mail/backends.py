"""An email backend for development, which writes each email to a file (RFC 5322)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from accounts.common import clock, secrets


class FileBackend(BaseEmailBackend):
    """Writes each email to ``FOLDER/<time>-<random>.eml``. Only complete files get such a name."""

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Path(folder)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for mail in email_messages:
            path = self.folder / f"{clock.now():%Y%m%dT%H%M%S%f}-{secrets.hexadecimal(16)[:8]}.eml"
            draft = path.with_suffix(".part")
            draft.write_bytes(mail.message().as_bytes())
            draft.rename(path)
        return len(email_messages)
