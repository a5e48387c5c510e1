"""``make demo``, used as somebody would who has just cloned the site."""

import html
import os
import re
import sys
from pathlib import Path

from tests.support.client import Client
from tests.support.env import clean
from tests.support.process import Process, free_port, listening
from tests.support.site import ROOT


def test_the_demo_signs_in_by_its_provider_and_by_the_printed_passwords(
    tmp_path: Path,
) -> None:
    port, issuer_port = free_port(), free_port()
    env = os.environ | clean(tmp_path) | {"PORT": str(port), "ISSUER_PORT": str(issuer_port)}
    demo = Process(
        [sys.executable, "-m", "docs.examples.demo"], tmp_path / "log", env=env, cwd=ROOT
    )
    try:
        demo.wait_until(lambda: listening(port), "The demo")
        site = Client(f"http://localhost:{port}", connect=("127.0.0.1", port))
        issuer = Client(f"http://localhost:{issuer_port}", connect=("127.0.0.1", issuer_port))
        away = site.post("/accounts/oidc/demo/login/").location
        page = issuer.get(away.removeprefix(issuer.origin)).text
        asked = html.unescape(re.findall(r'name="asked" value="([^"]+)"', page)[0])
        back = issuer.post("/authorize", {"who": "dora", "asked": asked}, csrf=False).location
        assert site.get(back.removeprefix(site.origin)).location == "/"
        assert "Dora Marquez" in site.get("/").text

        password = re.findall(r"^bob +(\S+)", demo.log(), re.MULTILINE)[0]
        bob = Client(site.origin, connect=("127.0.0.1", port))
        second = bob.post("/accounts/login/", {"login": "bob", "password": password}).location
        code = re.findall(r"bob: <code>(\d{6})", issuer.get("/").text)[0]
        assert bob.post(second, {"code": code}).location == "/"
    finally:
        demo.stop()
