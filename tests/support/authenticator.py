"""Read QR codes and compute TOTP codes with programs that share no code with the site."""

import re
import subprocess
from pathlib import Path

from tests.support.missing import find, missing

# Pixels per module of the QR code: scanners need several.
SCALE = 6


def scan(page: str, folder: Path) -> str:
    """Return the text of the QR code on a page, as zbar reads it."""
    size = re.search(r'class="qr"[^>]* viewBox="0 0 (\d+) ', page)
    drawn = re.search(r'fill="#000" d="([^"]+)"', page)
    assert size
    assert drawn
    dark = {(int(x), int(y)) for x, y in re.findall(r"M(\d+),(\d+)h1v1h-1z", drawn[1])}
    width = int(size[1])
    rows = [
        b"".join((b"\0" if (x, y) in dark else b"\xff") * SCALE for x in range(width)) * SCALE
        for y in range(width)
    ]
    picture = folder / "code.pgm"
    side = width * SCALE
    picture.write_bytes(f"P5 {side} {side} 255\n".encode() + b"".join(rows))
    return scan_picture(picture)


def scan_picture(picture: Path) -> str:
    """Return the text of the QR code in a picture, as zbar reads it."""
    return _output_of("zbarimg", "--quiet", "--raw", str(picture))


def shown(secret: str, at: float) -> str:
    """Return the TOTP code of a base32 secret at a POSIX time, as oathtool computes it."""
    return _output_of("oathtool", "--totp", "--base32", f"--now=@{int(at)}", secret)


def _output_of(program: str, *arguments: str) -> str:
    path = find(program)
    if path is None:
        missing(program)
    done = subprocess.run(
        [str(path), *arguments], capture_output=True, check=True, text=True, timeout=60
    )
    return done.stdout.strip()
