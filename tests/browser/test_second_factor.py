"""Second factors in Chromium, with QR codes that are scanned from screenshots."""

import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from tests.support.authenticator import scan_picture, shown
from tests.support.browser import MOBILE
from tests.support.browser_steps import (
    arrive,
    go,
    open_key,
    press,
    says,
    sees,
    sign_in,
    sign_out,
    type_code,
)
from tests.support.second_factor import recovery_codes_on

SETUP = "Set up an authenticator app"
TURN_ON = "Turn on two-step verification"


def scan(page, folder):
    """Return the secret in the QR code on a screenshot of the page, which is the link beside it."""
    picture = folder / "screen.png"
    page.screenshot(path=picture, full_page=True)
    uri = scan_picture(picture)
    assert uri == page.locator('a[href^="otpauth:"]').get_attribute("href")
    return parse_qs(urlsplit(uri).query)["secret"][0]


def begin(page, site, username):
    """Create an account, go to the page that sets up an app, and return the key that it shows."""
    arrive(page, site, username)
    go(page, "Passkeys and two-step")
    page.get_by_role("link", name=SETUP).click()
    sees(page, SETUP)
    return open_key(page).replace(" ", "")


def test_recovery_codes_are_downloaded_and_sign_in_without_scripts_on_a_phone(
    site, open_page, tmp_path
):
    username = "pocketed"
    page = open_page(site, java_script_enabled=False, **MOBILE)
    secret = begin(page, site, username)
    for media in ({"color_scheme": "dark"}, {"forced_colors": "active"}):
        page.emulate_media(**media)
        assert scan(page, tmp_path) == secret
    type_code(page, shown(secret, time.time()), TURN_ON)
    sees(page, "Save your recovery codes")
    codes = recovery_codes_on(page.content())

    offered = page.get_by_role("main").get_by_role("button").all_inner_texts()
    assert offered == ["Download", "Confirm"], "buttons that need scripts are hidden"
    with page.expect_download() as download:
        press(page, "Download")
    assert download.value.suggested_filename == "recovery-codes.txt"
    assert Path(download.value.path()).read_text(encoding="utf-8").splitlines()[2:] == codes
    type_code(page, codes[0], "Confirm")
    says(page, "Your codes are saved, and two-step verification is on.")
    sign_out(page)
    sign_in(page, username)
    says(page, "or a recovery code.")
    type_code(page, codes[3])
    sees(page, f"Hello, {username}")
    go(page, "Passkeys and two-step")
    says(page, "9 of 10 codes left")


def test_the_key_is_copied_or_selected_and_recovery_codes_are_copied_and_printed(site, open_page):
    page = open_page(site, permissions=["clipboard-read", "clipboard-write"])
    page.add_init_script("window.print = () => { window.printed = true }")
    secret = begin(page, site, "copying")
    key = page.locator("#key").inner_text()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    press(page, "Copy the key")
    page.wait_for_function("key => getSelection().toString() === key", arg=key)
    expect(page.locator("#live")).to_be_empty()
    page.evaluate("delete navigator.clipboard.writeText")
    press(page, "Copy the key")
    expect(page.locator("#live")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == key

    type_code(page, shown(secret, time.time()), TURN_ON)
    sees(page, "Save your recovery codes")
    codes = recovery_codes_on(page.content())
    assert len(set(codes)) == 10
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == codes
    press(page, "Print")
    assert page.evaluate("window.printed")
    page.emulate_media(media="print")
    expect(page.locator("#codes")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button", name="Print")).to_be_hidden()
    expect(page.locator("nav").first).to_be_hidden()
    page.emulate_media(media="screen")
    page.goto("/")
    page.go_back()
    sees(page, "Recovery codes")
    assert recovery_codes_on(page.content()) == []
