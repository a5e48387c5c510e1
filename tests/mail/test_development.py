"""The pages that show the emails of a development site, each as people see it and as text."""

import base64
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.common.brand import PNG, SVG, File
from accounts.mail import development_views
from accounts.mail.message import Message
from accounts.mail.services import FileBackend

# The first bytes of a PNG file of 320 by 36 pixels.
LOGO = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 320, 36)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(development_views, "folder", lambda: tmp_path)
    return tmp_path


def stored(folder: Path) -> str:
    """Store an email, and return the URL of its page."""
    message = Message(to="alice@example.org", subject="<b>Hello</b>", paragraphs=["secret words"])
    FileBackend(str(folder)).send_messages([message.email("1")])
    (path,) = folder.glob("*.eml")
    return f"/dev/mail/{path.stem}/"


def test_an_email_is_shown_in_a_frame_that_runs_no_script_and_loads_nothing(folder: Path) -> None:
    url = stored(folder)
    page, html = Client().get(url), Client().get(f"{url}html/")

    assert f'src="{url}html/"' in page.text
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "secret words" in page.text
    assert "secret words" in html.text
    assert "<b>" not in html.text
    policy = dict(part.partition(" ")[::2] for part in html["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        "sandbox": "allow-top-navigation-by-user-activation",
    }
    assert html["X-Frame-Options"] == "SAMEORIGIN"


def test_the_logo_is_a_part_of_the_email_and_is_shown(folder: Path, settings: Any) -> None:
    settings.AUTHSITE = replace(settings.AUTHSITE, site_logo=File(LOGO, PNG))

    html = Client().get(f"{stored(folder)}html/").text

    assert f'src="data:image/png;base64,{base64.b64encode(LOGO).decode()}"' in html
    assert 'width="160" height="18"' in html


@pytest.mark.parametrize("logo", [File(b"<svg/>", SVG), "/static/logo.png"])
def test_an_email_contains_no_logo_that_mail_programs_do_not_show(
    folder: Path, settings: Any, logo: Any
) -> None:
    settings.AUTHSITE = replace(settings.AUTHSITE, site_logo=logo)

    assert "<img" not in Client().get(f"{stored(folder)}html/").text
