"""sslyze, by its lock file, in an environment of its own beside the site's."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.support.missing import missing
from tests.support.site import ROOT

LOCK = ROOT / "tests/scanners/requirements.txt"
SECONDS = 300


def sslyze() -> list[str | Path]:
    """The words that start it; it's installed by the first to ask."""
    folder = ROOT / ".cache" / f"sslyze-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python = folder / "bin/python"
    ready = folder / "ready"
    if not ready.exists():
        make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", folder]
        pip: list[str | Path] = [python, "-m", "pip", "--quiet", "install"]
        for command in (make, [*pip, "--require-hashes", "-r", LOCK]):
            if subprocess.run(command, check=False, timeout=SECONDS).returncode:
                missing("sslyze")
        ready.touch()
    return [python, "-m", "sslyze"]


def assert_intermediate(name: str, authority: Path, port: int) -> None:
    """Assert that the server is trusted and complies with Mozilla's "intermediate" profile."""
    words = ("--mozilla_config=intermediate", f"--sni={name}", f"--certinfo_ca_file={authority}")
    done = subprocess.run(
        [*sslyze(), *words, f"127.0.0.1:{port}"],
        capture_output=True,
        check=False,
        text=True,
        timeout=2 * SECONDS,
    )
    told = " ".join(done.stdout.split())
    assert f"127.0.0.1:{port}: OK - Compliant." in told, done.stdout + done.stderr
    assert "Supplied CA file CA Store (N/A): OK - Certificate is trusted" in told
    assert done.returncode == 0
