"""Pages that show the emails of a development site at ``/dev/mail/``, on this machine only."""

from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.common.client_ip import parse

SHOWN = 50
PROXY_HEADERS = ("HTTP_X_FORWARDED", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


@login_not_required
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """Show a list of the newest emails."""
    paths = sorted(_folder(request).glob("*.eml"), reverse=True)[:SHOWN]
    return render(
        request, "accounts/mail/dev_list.html", {"mails": [_read(path) for path in paths]}
    )


@login_not_required
@require_safe
def mail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one email: its plain text with clickable links, and the source of its HTML part."""
    path = _folder(request) / f"{name}.eml"
    if not path.is_file():
        raise Http404
    return render(request, "accounts/mail/dev_mail.html", {"mail": _read(path)})


def folder() -> Path | None:
    """Return the folder with the emails of a development site, or None if emails are sent."""
    url = urlsplit(settings.AUTHSITE.email_url)
    if not settings.AUTHSITE.development or url.scheme != "file":
        return None
    return Path(url2pathname(url.path))


def _folder(request: HttpRequest) -> Path:
    """Return the folder with the emails. Raise Http404 if the client is on another machine."""
    mails = folder()
    forwarded = any(name.startswith(PROXY_HEADERS) for name in request.META)
    peer = parse(request.META["REMOTE_ADDR"])
    if mails is None or forwarded or peer is None or not peer.is_loopback:
        raise Http404
    return mails


def _read(path: Path) -> dict[str, Any]:
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())
    return {
        "name": path.stem,
        "subject": message["Subject"],
        "to": message["To"],
        "date": datetime.fromtimestamp(path.stat().st_mtime, UTC),
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
    }


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""
