"""What a release contains, and when it is refused."""

import hashlib
import io
import json
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from zipfile import ZipFile

import pytest

from authsite import __version__
from tests import release
from tests.release import Refused, build, main, notes, vulnerabilities
from tests.support.standards import proves

NOW = datetime.now(UTC)
DIGEST = f"sha256:{'0' * 64}"
PINS = "django==6.0.2 \\\n    --hash=sha256:" + "0" * 64


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small checkout with one commit, whose proof has passed."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/Dockerfile").write_text("FROM debian:trixie-slim AS build\nRUN true\n")
    (tmp_path / "requirements.txt").write_text(PINS)
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## {__version__} (2026-11-30)\n\n- It.\n"
    )
    (tmp_path / ".gitignore").write_text("/dist/\n/proof\n")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "proof_of", lambda _commit: tmp_path / "proof")
    (tmp_path / "proof").write_text("- 3 seconds.\n")
    for command in ("init -q", "add .", "commit -qm first"):
        name = ["-c", "user.name=alice", "-c", "user.email=alice@example.org"]
        subprocess.run(["git", *name, *command.split()], check=True, cwd=tmp_path)  # noqa: S607 on PATH
    return tmp_path


def advisories(path, *changes, days=0):
    """Write a database with an advisory for each of ``changes``, the newest some days old."""
    modified = (NOW - timedelta(days=days)).isoformat().replace("+00:00", "Z")
    with ZipFile(path, "w") as archive:
        for number, affected in enumerate(changes):
            about = {"package": {"name": "Django", "ecosystem": "PyPI"}} | affected
            advisory = {"id": f"PYSEC-{number}", "modified": modified, "affected": [about]}
            archive.writestr(f"{number}.json", json.dumps(advisory | affected.get("own", {})))
    return path


def span(*events):
    return {"ranges": [{"type": "ECOSYSTEM", "events": [dict([event]) for event in events]}]}


AFFECTED = {
    "a listed version": ({"versions": ["6.0.1", "6.0.2"]}, True),
    "another version": ({"versions": ["6.0.1"]}, False),
    "since ever": (span(("introduced", "0")), True),
    "fixed later": (span(("introduced", "5.2"), ("fixed", "6.0.3")), True),
    "fixed in it": (span(("introduced", "5.2"), ("fixed", "6.0.2")), False),
    "last affected": (span(("introduced", "0"), ("last_affected", "6.0.2")), True),
    "no longer affected": (span(("introduced", "0"), ("last_affected", "6.0.1")), False),
    "introduced later": (span(("introduced", "6.0.10")), False),
    "fixed and introduced again": (
        span(("introduced", "4"), ("fixed", "4.2"), ("introduced", "6"), ("fixed", "6.1")),
        True,
    ),
    "withdrawn": (
        span(("introduced", "0")) | {"own": {"withdrawn": "2026-01-01T00:00:00Z"}},
        False,
    ),
    "another package": (span(("introduced", "0")) | {"package": {"name": "flask"}}, False),
}


@proves("V15.2.1")
@pytest.mark.parametrize("affected, is_found", AFFECTED.values(), ids=AFFECTED)
def test_an_advisory_that_covers_the_pinned_version_is_found(affected, is_found, tmp_path):
    found = vulnerabilities(PINS, advisories(tmp_path / "db", affected), NOW)

    assert found == (["django 6.0.2: PYSEC-0"] if is_found else [])


def test_a_missing_broken_empty_or_old_database_is_refused(tmp_path):
    (tmp_path / "broken").write_text("no archive")
    advisories(tmp_path / "empty")
    advisories(tmp_path / "old", {"versions": []}, days=15)
    for name in ("missing", "broken", "empty", "old"):
        with pytest.raises(Refused, match=str(tmp_path / name)):
            vulnerabilities(PINS, tmp_path / name, NOW)


@proves("V15.1.2")
def test_a_release_has_the_source_its_parts_the_notes_and_sums_and_is_the_same_twice(checkout):
    assert main(["--unaudited", "--base-digest", DIGEST]) == f"dist/ has authsite {__version__}."
    built = {path.name: path.read_bytes() for path in (checkout / "dist").iterdir()}
    sums = built.pop("SHA256SUMS").decode()

    with tarfile.open(fileobj=io.BytesIO(built[f"authsite-{__version__}.tar.gz"])) as archive:
        assert f"authsite-{__version__}/requirements.txt" in archive.getnames()
    bill = json.loads(built[f"authsite-{__version__}.cdx.json"])
    assert [part["name"] for part in bill["components"]] == ["django"]
    assert built["Dockerfile"].startswith(f"FROM debian:trixie-slim@{DIGEST} AS build".encode())
    assert built["NOTES.md"].startswith(f"# authsite {__version__} (2026-11-30)".encode())
    assert built["NOTES.md"].endswith(b"\n- 3 seconds.\n")
    digests = {name: hashlib.sha256(raw).hexdigest() for name, raw in built.items()}
    assert {name: digest for digest, name in map(str.split, sums.splitlines())} == digests
    build(checkout / "dist", DIGEST)
    assert {name: (checkout / "dist" / name).read_bytes() for name in built} == built


@proves("V15.2.1")
def test_a_release_is_refused_without_proof_audit_digest_or_with_changes(checkout):
    with pytest.raises(Refused, match="AUDIT_DB"):
        main(["--base-digest", DIGEST])
    covering = advisories(checkout / "dist.zip", span(("introduced", "0")))
    (checkout / ".git/info/exclude").write_text("dist.zip\n")
    with pytest.raises(Refused, match="PYSEC-0"):
        main(["--base-digest", DIGEST, "--audit-db", str(covering)])
    with pytest.raises(Refused, match="BASE_DIGEST"):
        main(["--unaudited", "--base-digest", "latest"])
    (checkout / "proof").unlink()
    with pytest.raises(Refused, match="proof"):
        main(["--unaudited", "--base-digest", DIGEST])
    (checkout / "new").touch()
    with pytest.raises(Refused, match="changes"):
        main(["--unaudited", "--base-digest", DIGEST])
    assert not (checkout / "dist").exists()


def test_notes_are_those_of_the_version_and_nothing_may_be_unreleased():
    log = "# Changelog\n\n## 2.0.0 (2027-01-01)\n\n- New.\n\n## 1.0.0 (2026-11-30)\n\n- Old.\n"

    assert notes(log, "2.0.0") == "# authsite 2.0.0 (2027-01-01)\n\n- New.\n\n"
    for version, text in (("1.0.0", log), ("2.0.0", log.replace("## 2", "## Unreleased\n\n## 2"))):
        with pytest.raises(Refused, match="CHANGELOG"):
            notes(text, version)
