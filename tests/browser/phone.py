"""A phone with an authenticator app: it sees the screen, nothing else of the page."""

import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page

from tests.support.missing import find, missing


def scan(page: Page, folder: Path) -> str:
    """The secret in the QR code on the screen, as a camera finds it."""
    picture = folder / "screen.png"
    page.screenshot(path=picture, full_page=True)
    link = urlsplit(_run("zbarimg", "--quiet", "--raw", str(picture)))
    assert (link.scheme, link.netloc) == ("otpauth", "totp"), link
    return parse_qs(link.query)["secret"][0]


def shown(secret: str) -> str:
    """The code that the app shows."""
    return _codes(secret)[0]


def shown_next(secret: str) -> str:
    """The one after it: a code is good once, and the site takes one that is half a minute early."""
    return _codes(secret)[1]


def _codes(secret: str) -> list[str]:
    return _run("oathtool", "--totp", "--base32", "--window=1", secret).split()


def _run(program: str, *args: str) -> str:
    """What it prints."""
    found = find(program) or missing(program)
    return subprocess.run(
        [found, *args], capture_output=True, check=True, text=True, timeout=60
    ).stdout.strip()
