"""Run sslyze in a Python environment of its own."""

import subprocess
from pathlib import Path

from tests.support.missing import missing
from tests.support.process import RUN_SECONDS, run
from tests.support.site import ROOT
from tests.support.virtualenvs import environment

LOCK = ROOT / "tests/scanners/requirements.txt"


def assert_intermediate(name: str, authority: Path, port: int) -> None:
    """Fail unless the certificate is trusted and the server complies with a profile of Mozilla.

    The profile is "intermediate".
    """
    words = ("--mozilla_config=intermediate", f"--sni={name}", f"--certinfo_ca_file={authority}")
    try:
        programs = environment(LOCK)
    except subprocess.SubprocessError:
        missing("sslyze")
    printed = run(
        programs / "python", "-m", "sslyze", *words, f"127.0.0.1:{port}", seconds=2 * RUN_SECONDS
    )
    told = " ".join(printed.split())
    assert f"127.0.0.1:{port}: OK - Compliant." in told, printed
    assert "Supplied CA file CA Store (N/A): OK - Certificate is trusted" in told
