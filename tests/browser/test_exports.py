"""Taking one's data along in Chromium."""

from zipfile import ZipFile

from playwright.sync_api import expect

from tests.support.browser import MOBILE, axe
from tests.support.browser_steps import arrive, menu, press, sees


def test_a_person_asks_for_their_data_waits_and_downloads_a_page_to_read(
    site, page, open_page, tmp_path
):
    arrive(page, site, "traveller")
    menu(page).get_by_role("link", name="Your data").click()
    sees(page, "Your data")
    assert axe(page) == []
    press(page, "Make a copy")
    expect(page.get_by_role("heading", name="Your copy is ready")).to_be_visible()
    assert axe(page) == []
    with page.expect_download() as download:
        press(page, "Download")
    with ZipFile(download.value.path()) as file:
        file.extractall(tmp_path)

    copy = open_page(site, **MOBILE)
    copy.goto(f"file://{tmp_path}/index.html")
    sees(copy, "Your data at authsite")
    expect(copy.get_by_text("traveller@example.org").first).to_be_visible()
    page.goto("/accounts/data/")
    expect(page.get_by_role("button", name="Make a copy")).to_be_visible()
