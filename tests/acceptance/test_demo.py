"""``make demo``, used as somebody would who has just cloned the site."""

import html
import os
import re
import sys

from tests.support.env import clean
from tests.support.journey import Journey
from tests.support.process import Process, free_port, listening
from tests.support.site import ROOT, Client


def test_the_demo_signs_in_by_its_provider_by_the_printed_passwords_and_in_its_shop(tmp_path):
    port, issuer_port, shop_port = free_port(), free_port(), free_port()
    ports = {"PORT": port, "ISSUER_PORT": issuer_port, "SHOP_PORT": shop_port}
    env = os.environ | clean(tmp_path) | {name: str(number) for name, number in ports.items()}
    command = [sys.executable, "-m", "docs.examples.demo"]
    demo = Process(command, tmp_path / "log", env=env, cwd=ROOT)
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

        shop = Client(f"http://127.0.0.1:{shop_port}")
        browser = Journey(bob, shop)
        page = browser.send(browser.open(f"{shop.origin}/sign-in"), "Allow")
        assert "bob@example.org" in page.text
        page = browser.open(f"{shop.origin}/sign-out")
        assert page.url == f"{shop.origin}/"
        assert "Sign in with authsite" in page.text
        assert bob.get("/").status == 302
    finally:
        demo.stop()
