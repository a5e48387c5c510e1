"""Read QR codes and compute TOTP codes with programs that share no code with the site."""

from pathlib import Path

from tests.support.missing import find, missing
from tests.support.process import run


def scan_picture(picture: Path) -> str:
    """Return the text of the QR code in a picture, as zbar reads it."""
    return _output_of("zbarimg", "--quiet", "--raw", str(picture))


def shown(secret: str, at: float) -> str:
    """Return the TOTP code of a base32 secret at a POSIX time, as oathtool computes it."""
    return _output_of("oathtool", "--totp", "--base32", f"--now=@{int(at)}", secret)


def _output_of(program: str, *arguments: str) -> str:
    return run(find(program) or missing(program), *arguments).strip()
