"""A certificate is renewed while people use the site: none of them notices."""

import os
import signal
import time
from pathlib import Path

import pytest

from authsite import local_ca
from authsite.server import RETIRED_SECONDS
from tests.support.https import NAME, LocalHttps
from tests.support.renewals import another, browsers

RENEWALS = 2


@pytest.mark.proof
def test_6_5_two_renewals_under_load_lose_no_request(tmp_path: Path) -> None:
    with LocalHttps(tmp_path) as https:
        assert https.process
        serials = [another(https.client(), "")]
        with browsers(https.client()) as found:
            for _ in range(RENEWALS):
                time.sleep(1)
                (https.data_dir / "tls/site.pem").unlink()
                local_ca.issued(https.data_dir / "tls", [NAME])
                os.kill(https.process.pid, signal.SIGHUP)
                serials.append(another(https.client(), serials[-1]))
                # The old worker, which takes no connection once it is retired, ends in this time.
                time.sleep(RETIRED_SECONDS + 2)

    assert found.keys() == {"200"}, found
    assert found.total() > 100 * RENEWALS
    assert len(set(serials)) == 1 + RENEWALS
