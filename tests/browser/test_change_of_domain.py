"""Passkeys work on after the site has moved to another domain, as `docs/operating.md` describes."""

from contextlib import contextmanager

from tests.support.browser import NAMES, TIMEOUT_MS
from tests.support.browser_passkeys import BUTTON, add_passkey
from tests.support.browser_steps import press, sees, sign_in
from tests.support.missing import find
from tests.support.proxies import NAME, ORIGIN, Nginx
from tests.support.site import Site, production
from tests.support.steps import LOGIN, join
from tests.support.virtual_authenticator import NO_AUTOFILL, VirtualAuthenticator

FORMER = "login.lemon.example"
PATIENT = {f"proxy_read_timeout {Nginx.seconds}s": "proxy_read_timeout 30s"}


@contextmanager
def page_behind(chromium, nginx):
    """Open a page in a browser that finds both names at the proxy."""
    rules = ", ".join(f"MAP {name}:443 127.0.0.1:{nginx.https}" for name in (NAME, FORMER))
    arguments = (f"--host-resolver-rules={rules}", "--ignore-certificate-errors")
    browser = chromium.browser_type.launch(
        executable_path=find(*NAMES), args=list(arguments), chromium_sandbox=False
    )
    try:
        page = browser.new_page(base_url=f"https://{nginx.host}")
        page.set_default_timeout(TIMEOUT_MS)
        page.add_init_script(NO_AUTOFILL)
        yield page
    finally:
        browser.close()


def test_a_passkey_of_the_former_domain_signs_in_at_the_new_one_and_a_new_one_is_alike(
    chromium, tmp_path
):
    folder = tmp_path / "site"
    folder.mkdir()
    site = production(folder, f"https://{FORMER}")
    (tmp_path / "before").mkdir()
    with site, Nginx(tmp_path / "before", site, PATIENT, host=FORMER) as nginx:
        join(site, nginx.client(), "alice")
        with page_behind(chromium, nginx) as page:
            authenticator = VirtualAuthenticator(page)
            page.goto(f"https://{FORMER}{LOGIN}")
            sign_in(page, "alice")
            sees(page, "Hello, alice")
            add_passkey(page, "Phone")
            (passkey,) = authenticator.credentials

    moved = {"ORIGIN": ORIGIN, "PASSKEY_DOMAIN": FORMER}
    site = Site(data_dir=folder, migrate=False, **(site.env | moved))
    (tmp_path / "after").mkdir()
    with (
        site,
        Nginx(tmp_path / "after", site, PATIENT, former=FORMER) as nginx,
        page_behind(chromium, nginx) as page,
    ):
        authenticator = VirtualAuthenticator(page)
        authenticator.store(passkey)
        page.goto(f"https://{FORMER}{LOGIN}")
        assert page.url == f"{ORIGIN}{LOGIN}"
        press(page, BUTTON)
        sees(page, "Hello, alice")

        authenticator.unplug()
        other = VirtualAuthenticator(page)
        add_passkey(page, "Tablet")
        assert [made["rpId"] for made in other.credentials] == [FORMER]
