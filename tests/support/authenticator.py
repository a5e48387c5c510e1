"""Read QR codes and compute TOTP codes with programs that share no code with the site."""

import re
from pathlib import Path

from tests.support.missing import find, missing
from tests.support.process import run

# Pixels per module of the QR code: scanners need several.
SCALE = 6


def scan(page: str, folder: Path) -> str:
    """Return the text of the QR code on a page, as zbar reads it."""
    box = re.search(r'class="qr"[^>]* viewBox="-(\d+) -\d+ (\d+) ', page)
    drawn = re.search(r'stroke="#000"[^>]* d="([^"]+)"', page)
    assert box
    assert drawn
    edge, width = int(box[1]), int(box[2])
    lines = [edge * [False] + _modules(line) for line in re.findall(r"M0 \d+([^M]*)", drawn[1])]
    lines = [[]] * edge + lines + [[]] * edge
    rows = [
        b"".join((b"\0" if is_dark else b"\xff") * SCALE for is_dark in line).ljust(
            width * SCALE, b"\xff"
        )
        * SCALE
        for line in lines
    ]
    picture = folder / "code.pgm"
    side = width * SCALE
    picture.write_bytes(f"P5 {side} {side} 255\n".encode() + b"".join(rows))
    return scan_picture(picture)


def _modules(line: str) -> list[bool]:
    """Return whether each module of a drawn row is dark, up to the last dark one."""
    runs = re.findall(r"([hm])(\d+)", line)
    return [command == "h" for command, length in runs for _ in range(int(length))]


def scan_picture(picture: Path) -> str:
    """Return the text of the QR code in a picture, as zbar reads it."""
    return _output_of("zbarimg", "--quiet", "--raw", str(picture))


def shown(secret: str, at: float) -> str:
    """Return the TOTP code of a base32 secret at a POSIX time, as oathtool computes it."""
    return _output_of("oathtool", "--totp", "--base32", f"--now=@{int(at)}", secret)


def _output_of(program: str, *arguments: str) -> str:
    return run(find(program) or missing(program), *arguments).strip()
