"""What a start of the site loads."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.env import clean
from tests.support.site import ROOT

# REST framework itself imports ``psycopg`` and ``requests`` if they are installed.
RARELY_NEEDED = {"OpenSSL", "qrcode", "redis", "webauthn"}
START = """
import sys, authsite.wsgi
from django.test import Client
assert Client().get("/accounts/login/", HTTP_HOST="localhost").status_code == 200
print(*sys.modules)
"""


def test_a_start_and_the_sign_in_page_load_no_library_that_only_some_sites_need(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=os.environ | clean(tmp_path),
        text=True,
        timeout=120,
    )

    assert not RARELY_NEEDED & set(done.stdout.split())
