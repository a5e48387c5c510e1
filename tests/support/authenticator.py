"""Read QR codes and compute TOTP codes with programs that share no code with the site."""

import re
from pathlib import Path

from tests.support.missing import find, missing
from tests.support.process import run

# Pixels per module of the QR code: scanners need several.
SCALE = 6


def scan(page: str, folder: Path) -> str:
    """Return the text of the QR code on a page, as zbar reads it."""
    drawn = re.search(r'viewBox="0 0 (\d+) \1"[^>]* class="qr".*? d="([^"]+)"', page)
    assert drawn
    size = range(int(drawn[1]))
    dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+),(\d+)H", drawn[2])}
    rows = [b"".join((b"\0" if (x, y) in dark else b"\xff") * SCALE for x in size) for y in size]
    picture = folder / "code.pgm"
    side = len(size) * SCALE
    picture.write_bytes(f"P5 {side} {side} 255\n".encode() + b"".join(row * SCALE for row in rows))
    return scan_picture(picture)


def scan_picture(picture: Path) -> str:
    """Return the text of the QR code in a picture, as zbar reads it."""
    return _output_of("zbarimg", "--quiet", "--raw", str(picture))


def shown(secret: str, at: float) -> str:
    """Return the TOTP code of a base32 secret at a POSIX time, as oathtool computes it."""
    return _output_of("oathtool", "--totp", "--base32", f"--now=@{int(at)}", secret)


def _output_of(program: str, *arguments: str) -> str:
    return run(find(program) or missing(program), *arguments).strip()
