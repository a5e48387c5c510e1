"""The pages that show the emails of a development site at ``/dev/mail/``, on its machine only."""

from base64 import b64encode
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
from django.utils.csp import CSP
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe

from accounts.common.client_info import parse_ip

type Policy = dict[str, list[str]]

SHOWN = 50
# The HTML part of an email runs no script and loads nothing, and is shown only in a frame of this
# site. Its styles and images are part of the document. A click on a link may leave the frame.
EMAIL_CSP: Policy = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.UNSAFE_INLINE],
    "img-src": ["data:"],
    "form-action": [CSP.NONE],
    "frame-ancestors": [CSP.SELF],
    "sandbox": ["allow-top-navigation-by-user-activation"],
}
PAGE_CSP: Policy = {**settings.SECURE_CSP, "frame-src": [CSP.SELF]}
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
@csp_override(PAGE_CSP)
def mail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one email: its HTML part in a frame, and its plain text with clickable links."""
    return render(request, "accounts/mail/dev_mail.html", {"mail": _read(_path(request, name))})


@login_not_required
@require_safe
@xframe_options_sameorigin
@csp_override(EMAIL_CSP)
def html(request: HttpRequest, name: str) -> HttpResponse:
    """Return the HTML part of an email. Its links open in the window around the frame."""
    message = _message(_path(request, name))
    text = _part(message, "html").replace("<head>", '<head><base target="_top">', 1)
    for part in message.walk():
        cid = str(part["Content-ID"] or "").strip("<>")
        if cid and part.get_content_maintype() == "image":
            data = b64encode(part.get_content()).decode()
            text = text.replace(f'"cid:{cid}"', f'"data:{part.get_content_type()};base64,{data}"')
    return HttpResponse(text)


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
    peer = parse_ip(request.META["REMOTE_ADDR"])
    if mails is None or forwarded or peer is None or not peer.is_loopback:
        raise Http404
    return mails


def _path(request: HttpRequest, name: str) -> Path:
    path = _folder(request) / f"{name}.eml"
    if not path.is_file():
        raise Http404
    return path


def _message(path: Path) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(path.read_bytes())


def _read(path: Path) -> dict[str, Any]:
    message = _message(path)
    return {
        "name": path.stem,
        "subject": message["Subject"],
        "to": message["To"],
        "date": datetime.fromtimestamp(path.stat().st_mtime, UTC),
        "text": _part(message, "plain"),
    }


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""
