"""Build the release of this commit in ``dist/``: ``make release``.

A release is the source archive, the bill of materials, the recipe of the images with the digest of
their base image, the notes and the checksums. The same commit gives the same files.

It is refused for a changed tree, for a commit whose ``make proof`` has not passed, without a
section in the changelog, and for known vulnerabilities of the pinned packages.
"""

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from packaging.utils import canonicalize_name
from packaging.version import Version

from authsite import __version__, sbom
from tests.proof import proof_of

ROOT = sbom.ROOT
BASE = "debian:trixie-slim"
# Advisories are published every day, so an older copy is not kept up to date.
LONGEST_AGE = timedelta(days=14)


class Refused(Exception):
    """The release may not be built; the message says why."""


def git(*command: str) -> bytes:
    """Run git in the checkout, and return what it prints."""
    return subprocess.run(["git", *command], check=True, cwd=ROOT, capture_output=True).stdout


def notes(changelog: str, version: str) -> str:
    """Return the section of the changelog about ``version``.

    Raises:
        Refused: there is no such section, or changes stand above it.
    """
    sections = re.split(r"^## ", changelog, flags=re.M)[1:]
    if not sections[0].startswith(f"{version} ("):
        raise Refused(f"CHANGELOG.md does not begin with a section “{version} (date)”.")
    return f"# authsite {sections[0]}"


def vulnerabilities(requirements: str, database: Path, now: datetime) -> list[str]:
    """Return a line for each known vulnerability of the packages in ``requirements``.

    ``database``: the advisories about PyPI in the format of https://osv.dev, in a ZIP file.

    Raises:
        Refused: the database is missing, broken, empty or older than two weeks.
    """
    pins = {canonicalize_name(name): Version(v) for name, v, _ in sbom.PIN.findall(requirements)}
    newest, found = datetime.min.replace(tzinfo=UTC), []
    for advisory in _advisories(database):
        newest = max(newest, datetime.fromisoformat(advisory["modified"]))
        for affected in () if "withdrawn" in advisory else advisory.get("affected", ()):
            name = canonicalize_name(affected["package"]["name"])
            if name in pins and _covers(affected, pins[name]):
                found.append(f"{name} {pins[name]}: {advisory['id']}")
    if newest < now - LONGEST_AGE:
        raise Refused(f"The advisories in {database} are empty or older than two weeks.")
    return found


def _advisories(database: Path) -> Iterator[dict[str, Any]]:
    try:
        with ZipFile(database) as archive:
            for name in archive.namelist():
                yield json.loads(archive.read(name))
    except (OSError, BadZipFile, ValueError) as error:
        raise Refused(f"{database} cannot be read: {error}") from error


def _covers(affected: dict[str, Any], version: Version) -> bool:
    """Return whether ``version`` is affected (OSV schema, “Evaluation”)."""
    if str(version) in affected.get("versions", ()):
        return True
    is_covered = False
    for kind, bound in _events(affected):
        if version > bound or (version == bound and kind != "last_affected"):
            is_covered = kind == "introduced"
    return is_covered


def _events(affected: dict[str, Any]) -> list[tuple[str, Version]]:
    ranges = [row for row in affected.get("ranges", ()) if row["type"] == "ECOSYSTEM"]
    events = [event for row in ranges for each in row["events"] for event in each.items()]
    return sorted(((kind, Version(at)) for kind, at in events), key=lambda event: event[1])


def build(folder: Path, base_digest: str) -> None:
    """Write the files of the release into ``folder``.

    Raises:
        Refused: ``base_digest`` is no digest, or the changelog has no section for this version.
    """
    if not re.fullmatch("sha256:[0-9a-f]{64}", base_digest):
        raise Refused(f"BASE_DIGEST is the digest of {BASE}, as sha256:….")
    name = f"authsite-{__version__}"
    made_at = datetime.fromisoformat(git("log", "-1", "--format=%cI").decode().strip())
    archive = git("archive", f"--prefix={name}/", "HEAD")
    bill = sbom.document((ROOT / "requirements.txt").read_text(), made_at)
    text = notes((ROOT / "CHANGELOG.md").read_text(), __version__)
    measured = proof_of(git("rev-parse", "HEAD").decode().strip()).read_text()
    recipe = (ROOT / "deploy/Dockerfile").read_text()
    files = {
        f"{name}.tar.gz": gzip.compress(archive, mtime=0),
        f"{name}.cdx.json": json.dumps(bill, indent=2).encode(),
        "Dockerfile": recipe.replace(f"FROM {BASE}", f"FROM {BASE}@{base_digest}").encode(),
        "NOTES.md": f"{text}### Measured\n\n{measured}".encode(),
    }
    sums = [f"{hashlib.sha256(raw).hexdigest()}  {name}\n" for name, raw in files.items()]
    folder.mkdir(exist_ok=True)
    for path, raw in {**files, "SHA256SUMS": "".join(sums).encode()}.items():
        (folder / path).write_bytes(raw)


def main(arguments: Sequence[str] | None = None) -> str:
    """Build the release, and return what was built or why it was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-digest", default="")
    parser.add_argument("--audit-db", type=Path)
    parser.add_argument("--unaudited", action="store_true")
    options = parser.parse_args(arguments)
    if git("status", "--porcelain"):
        raise Refused("The tree has changes: commit them first.")
    if not proof_of(git("rev-parse", "HEAD").decode().strip()).exists():
        raise Refused("make proof has not passed on this commit.")
    if not options.unaudited:
        if options.audit_db is None:
            raise Refused("AUDIT_DB is missing: a copy of the advisories, or pass UNAUDITED=1.")
        pins = (ROOT / "requirements.txt").read_text()
        if found := vulnerabilities(pins, options.audit_db, datetime.now(UTC)):
            raise Refused("\n".join(["Known vulnerabilities:", *found]))
    build(ROOT / "dist", options.base_digest)
    return f"dist/ has authsite {__version__}."


if __name__ == "__main__":
    try:
        print(main())
    except Refused as refused:
        sys.exit(str(refused))
