"""Second factors as people meet them: a phone scans the screen, its app shows the codes."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import phone
from tests.browser.steps import (
    BOTH_WAYS,
    PASSWORD,
    go,
    member,
    press,
    read_code,
    read_mail,
    says,
    sees,
    sign_in,
    sign_out,
)
from tests.support.browser import MOBILE, OpenPage
from tests.support.second import CHALLENGE, recovery_codes_on
from tests.support.site import Site
from tests.support.steps import sql

# Names of other modules come back here.
SITE = {"LIMITS_SCALE": "1"}

SETUP = "Set up an authenticator app"


def type_code(page: Page, code: str, button: str = "Go on") -> None:
    page.get_by_label("Code", exact=True).fill(code)
    press(page, button)


def begin(page: Page, site: Site, username: str) -> None:
    """Signed in with a password alone, before the page that sets an app up."""
    member(site, username)
    page.goto("/")
    sign_in(page, username)
    page.get_by_role("link", name=SETUP).click()
    sees(page, SETUP)


def turn_on(page: Page, site: Site, username: str, folder: Path) -> tuple[str, list[str]]:
    """The secret in the phone, and the recovery codes that are on the page now."""
    begin(page, site, username)
    secret = phone.scan(page, folder)
    type_code(page, phone.shown(secret), "Turn on two-step sign-in")
    sees(page, "Keep your recovery codes")
    return secret, recovery_codes_on(page.content())


@BOTH_WAYS
def test_a_person_scans_the_code_keeps_the_others_and_signs_in_in_two_steps(
    site: Site, open_page: OpenPage, scripts: bool, tmp_path: Path
) -> None:
    username = f"alice{scripts:d}"
    page = open_page(site, java_script_enabled=scripts)
    secret, codes = turn_on(page, site, username, tmp_path)

    type_code(page, "22222-22222", "Finish")
    expect(page).to_have_title(re.compile("^Error: "))
    type_code(page, codes[0], "Finish")
    says(page, "Your recovery codes are kept.", "10 codes are left.")
    sign_out(page)

    sign_in(page, username)
    sees(page, "Confirm it’s you")
    expect(page.get_by_role("banner").get_by_role("link", name="Activity")).to_have_count(0)
    page.get_by_role("link", name="Sign in as somebody else").click()
    sees(page, "Sign in")
    page.goto(CHALLENGE)  # given up: nothing waits there any more
    sees(page, "Sign in")
    sign_in(page, username)
    type_code(page, phone.shown_next(secret))
    sees(page, f"Hello, {username}")


def test_a_recovery_code_is_good_once_and_typed_as_one_likes(
    site: Site, open_page: OpenPage, scripts: bool, tmp_path: Path
) -> None:
    username = f"bob{scripts:d}"
    page = open_page(site, java_script_enabled=scripts)
    _secret, codes = turn_on(page, site, username, tmp_path)
    sign_out(page)

    sign_in(page, username)
    page.get_by_role("link", name="Use a recovery code").click()
    type_code(page, codes[3].replace("-", " ").upper())
    sees(page, f"Hello, {username}")
    go(page, "Two-step sign-in")
    says(page, "9 codes are left.")
    sign_out(page)
    sign_in(page, username)
    page.get_by_role("link", name="Use a recovery code").click()
    type_code(page, codes[3])
    says(page, "That code is not right, or was used already.")
    type_code(page, codes[4])
    sees(page, f"Hello, {username}")


def test_without_the_phone_a_code_comes_by_mail_after_the_password(
    site: Site, open_page: OpenPage, scripts: bool, tmp_path: Path
) -> None:
    username = f"mallory{scripts:d}"
    page = open_page(site, java_script_enabled=scripts)
    turn_on(page, site, username, tmp_path)
    sign_out(page)

    sign_in(page, username)
    page.get_by_role("link", name="Get a code by mail").click()
    press(page, "Mail me a code")
    says(page, f"on its way to {username}@example.org")
    code = read_code(page, site, username)
    page.goto(CHALLENGE)
    type_code(page, code.lower())
    sees(page, f"Hello, {username}")


def test_carol_on_her_way_to_the_admin_sets_a_second_factor_up_and_gets_there(
    site: Site, open_page: OpenPage, scripts: bool, tmp_path: Path
) -> None:
    username = f"carol{scripts:d}"
    member(site, username)
    sql(
        site,
        "UPDATE accounts_user SET is_staff = 1, is_superuser = 1 WHERE username_key = ?",
        username,
    )
    page = open_page(site, java_script_enabled=scripts)

    page.goto("/admin/accounts/user/")
    sees(page, "Sign in")
    sign_in(page, username)
    sees(page, SETUP)
    says(page, f"One step is missing, {username}: ")
    secret = phone.scan(page, tmp_path)
    page.get_by_label("Name", exact=True).fill("Pixel 12")
    type_code(page, phone.shown(secret), "Turn on two-step sign-in")
    sees(page, "Keep your recovery codes")
    type_code(page, recovery_codes_on(page.content())[9], "Finish")
    expect(page).to_have_url(f"{site.origin}/admin/accounts/user/")
    expect(page.get_by_role("link", name=username, exact=True)).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.goto("/admin/accounts/user/")
    sign_in(page, username)
    sees(page, "Confirm it’s you")
    expect(page.get_by_role("link", name="Get a code by mail")).to_have_count(0)
    type_code(page, phone.shown_next(secret))
    expect(page).to_have_url(f"{site.origin}/admin/accounts/user/")


def test_who_has_lost_everything_waits_is_told_by_mail_and_comes_back_in(
    site: Site, open_page: OpenPage, scripts: bool, tmp_path: Path
) -> None:
    username = f"dave{scripts:d}"
    page = open_page(site, java_script_enabled=scripts)
    turn_on(page, site, username, tmp_path)
    sign_out(page)

    sign_in(page, username)
    page.get_by_text("I’ve lost all of them").click()
    press(page, "Begin the waiting period")
    says(page, "Somebody has asked to remove them.")
    read_mail(page, site, username, about="somebody asked to remove your second factors")
    expect(page.get_by_role("link", name="/accounts/2fa/recovery/")).to_be_visible()
    sql(site, "UPDATE accounts_factorrecovery SET due_at = datetime('now', '-1 hour')")
    page.goto("/accounts/login/")
    sign_in(page, username)
    press(page, "Remove my second factors")

    sees(page, f"Hello, {username}")
    says(page, "Your second factors were removed.")
    says(page, "Off: your password alone opens the account.")


@pytest.mark.parametrize(
    "username, looks",
    [
        ("erin-dark", {"color_scheme": "dark"}),
        ("erin-phone", MOBILE),
        ("erin-colours", {"forced_colors": "active"}),
    ],
)
def test_the_code_is_scanned_in_the_dark_on_a_small_screen_and_in_forced_colours(
    site: Site, open_page: OpenPage, tmp_path: Path, username: str, looks: dict[str, object]
) -> None:
    page = open_page(site, **looks)
    begin(page, site, username)

    secret = phone.scan(page, tmp_path)

    assert page.locator("#key").inner_text().replace(" ", "") == secret


def test_the_key_is_copied_and_recovery_codes_are_copied_printed_and_downloaded(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(site, permissions=["clipboard-read", "clipboard-write"])
    page.add_init_script("window.print = () => { window.printed = true }")
    begin(page, site, "frank")
    press(page, "Copy the key")
    expect(page.locator("#live")).to_have_text("Copied.")
    secret = page.evaluate("navigator.clipboard.readText()")
    type_code(page, phone.shown(secret), "Turn on two-step sign-in")
    sees(page, "Keep your recovery codes")
    codes = recovery_codes_on(page.content())
    assert len(set(codes)) == 10

    press(page, "Copy")
    expect(page.locator("#live")).to_have_text("Copied.")
    expect(page.get_by_role("button", name="Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == codes
    assert_downloaded(page, codes)
    press(page, "Print")
    assert page.evaluate("window.printed")
    page.emulate_media(media="print")
    assert printed_words(page) == ["authsite", *codes]


def assert_downloaded(page: Page, codes: list[str]) -> None:
    with page.expect_download() as download:
        press(page, "Download")
    assert download.value.suggested_filename == "recovery-codes.txt"
    head, nothing, *rest = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert (nothing, rest) == ("", codes)
    assert "authsite" in head


def printed_words(page: Page) -> list[str]:
    """What a printer puts on paper."""
    seen: list[str] = page.locator("body").evaluate(
        """body => [...body.querySelectorAll('*')]
            .filter(element => element.checkVisibility() && element.getClientRects().length)
            .filter(element => getComputedStyle(element).clipPath === 'none')
            .flatMap(element => [...element.childNodes])
            .filter(node => node.nodeType === Node.TEXT_NODE && node.data.trim())
            .map(node => node.data.trim())"""
    )
    return seen


def test_without_scripts_recovery_codes_are_downloaded_and_nothing_else_is_offered(
    site: Site, no_js_page: Page, tmp_path: Path
) -> None:
    _secret, codes = turn_on(no_js_page, site, "grace", tmp_path)

    buttons = no_js_page.get_by_role("main").get_by_role("button").all()

    assert [button.inner_text() for button in buttons] == ["Download", "Finish"]
    assert_downloaded(no_js_page, codes)


def test_a_second_phone_is_added_and_the_first_removed_which_ends_other_sign_ins(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    page, other = open_page(site), open_page(site)
    secret, _codes = turn_on(page, site, "heidi", tmp_path)
    other.goto("/")
    sign_in(other, "heidi", password=PASSWORD)
    type_code(other, phone.shown_next(secret))
    sees(other, "Hello, heidi")

    go(page, "Two-step sign-in")
    page.get_by_role("link", name="Add another app").click()
    page.get_by_label("Name", exact=True).fill("Tablet")
    second = phone.scan(page, tmp_path)
    type_code(page, phone.shown(second), "Add the app")
    says(page, "The app was added.")
    page.get_by_role("link", name="Rename or remove Authenticator app").click()
    says(page, "Every other sign-in ends.")
    press(page, "Remove this app")
    says(page, "Removed.", "Tablet")

    go(other, "Activity")
    sees(other, "Sign in")
    sign_in(other, "heidi")
    type_code(other, phone.shown_next(second))
    sees(other, "Activity")


def test_what_the_browser_refuses_to_copy_is_selected_to_be_copied_by_hand(
    site: Site, page: Page
) -> None:
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error())")
    begin(page, site, "ivan")

    press(page, "Copy the key")

    key = page.locator("#key").inner_text()
    page.wait_for_function("key => getSelection().toString() === key", arg=key)
    expect(page.locator("#live")).to_be_empty()
