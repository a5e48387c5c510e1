"""Scanners of TLS against ``make https``: each is told of the local authority, and of nothing else.

A local certificate has no address where its revocation could be asked for: that alone is let pass.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.https import NAME, LocalHttps
from tests.support.missing import find, missing
from tests.support.sslyze import assert_intermediate

pytestmark = pytest.mark.proof

SECONDS = 900
# What testssl.sh says of itself and the machine it runs on, and of what is found.
QUIET = {"DEBUG", "INFO", "OK", "LOW"}
OWN_TROUBLES = {"engine_problem"}


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHttps]:
    with LocalHttps(tmp_path_factory.mktemp("https")) as running:
        yield running


def test_6_4_testssl_rates_it_a_plus_and_finds_nothing_above_low(
    https: LocalHttps, tmp_path: Path
) -> None:
    testssl = find("testssl", "testssl.sh") or missing("testssl.sh")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(testssl, "--quiet", "--color", "0", "--warnings", "batch", "--jsonfile", report),
            *("--add-ca", https.authority, "--ip", "127.0.0.1", f"{https.origin}/accounts/login/"),
        ],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=SECONDS,
    )
    found = {entry["id"]: entry for entry in json.loads(report.read_text())}
    loud = {name: entry for name, entry in found.items() if entry["severity"] not in QUIET}

    assert found["overall_grade"]["finding"] == "A+", done.stdout
    assert found["cert_chain_of_trust"]["finding"] == "passed."
    assert loud.keys() - OWN_TROUBLES == {"cert_revocation"}, loud


def test_6_4_sslyze_finds_it_compliant_with_mozillas_intermediate(https: LocalHttps) -> None:
    assert_intermediate(NAME, https.authority, https.port)
