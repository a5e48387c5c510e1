"""What an authenticator app sees and shows, by programs that share no code with the site."""

import re
import subprocess
from pathlib import Path

from tests.support.missing import find, missing

# Pixels a module: scanners want several.
SCALE = 6


def scan(page: str, folder: Path) -> str:
    """What the QR code says that is drawn on the page, by zbar."""
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
    """What the QR code in a picture says, by zbar."""
    return _said_by("zbarimg", "--quiet", "--raw", str(picture))


def shown(secret: str, at: float) -> str:
    """The code that an app with that key, in base32, shows at a moment, by oathtool."""
    return _said_by("oathtool", "--totp", "--base32", f"--now=@{int(at)}", secret)


def _said_by(program: str, *arguments: str) -> str:
    path = find(program)
    if path is None:
        missing(program)
    done = subprocess.run(
        [str(path), *arguments], capture_output=True, check=True, text=True, timeout=60
    )
    return done.stdout.strip()
