"""Logos of apps: only operators provide them, and only small square PNG files."""

import struct
import zlib
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser

from accounts.oauth.models import ClientLogo
from tests.support.api_input import storable
from tests.support.apps import change, page_of, register, the_app
from tests.support.invitations import superuser

pytestmark = pytest.mark.django_db


def png(width: int = 64, height: int = 64, more: bytes = b"") -> bytes:
    """Return a black PNG file of this size, with ``more`` after its end."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (width + 1) * height)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + more


def file(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("logo.png", content, "image/png")


@pytest.fixture
def browser() -> Browser:
    """A browser in which carol, a superuser, is signed in."""
    return superuser()[1]


def test_a_logo_is_shown_replaced_and_removed(browser: Browser) -> None:
    register(browser, logo=file(png()))
    url = f"/oauth/logos/{the_app().pk}/{the_app().logo}.png"
    shown = browser.get(url)
    page = browser.get(page_of(the_app())).text

    assert shown.content == png()
    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert "immutable" in shown["Cache-Control"]
    assert url in page

    change(browser)
    assert browser.get(url).status_code == 200, "another change keeps the logo"
    change(browser, logo=file(png(32, 32)))
    assert browser.get(url).status_code == 404
    change(browser, **{"logo-clear": "on"})
    assert (the_app().logo, ClientLogo.objects.count()) == ("", 0)


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<script>alert(1)" + struct.pack(">II", 64, 64) + b"</script>",
        png(64, 32),
        png(16, 16),
        png(1024, 1024),
        png(more=bytes(32_768)),
    ],
    ids=["svg", "numbers where PNG has its size", "not square", "small", "big", "long"],
)
def test_other_files_are_refused(browser: Browser, content: bytes) -> None:
    page = register(browser, logo=file(content))

    assert "Choose a square PNG file" in page.text
    assert not ClientLogo.objects.exists()


def test_an_odd_address_of_a_logo_leads_nowhere(browser: Browser) -> None:
    with connection.execute_wrapper(storable):
        for path in ("%00/x", "x/%00", "x/%F0%9F%98%80"):
            assert browser.get(f"/oauth/logos/{path}.png").status_code == 404


def test_a_command_adds_an_app_with_its_logo(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "logo.png"
    path.write_bytes(png())
    names = ("add_client", "Paperless", "--redirect-uri", "https://paperless.example.org/callback")

    call_command(*names, "--logo", str(path))

    assert browser.get(f"/oauth/logos/{the_app().pk}/{the_app().logo}.png").content == png()
    path.write_bytes(b"GIF89a")
    with pytest.raises(CommandError, match="square PNG"):
        call_command(*names, "--logo", str(path))
