"""What assistive technology reads, and what the keyboard reaches, on the ten main pages."""

import pytest
from playwright.sync_api import expect

from tests.support.browser_rows import KEYS
from tests.support.browser_steps import become, newcomer
from tests.support.standards import proves
from tests.support.steps import LOGIN, PASSWORD, SIGNUP

FOR_STRANGERS = (LOGIN, SIGNUP)
FOR_MEMBERS = (
    "/",
    "/accounts/sessions/",
    "/accounts/activity/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    KEYS,
    "/accounts/profile/",
)
CONTROLS = {"button", "checkbox", "combobox", "link", "radio", "searchbox", "textbox"}
# What Tab stops at, in the order of the page. Of a group of radio buttons, it stops at one.
STOPS = """
() => {
  const groups = new Set()
  const isFirst = ({ type, name }) => type !== 'radio' || (!groups.has(name) && groups.add(name))
  return [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter(it => it.checkVisibility({ visibilityProperty: true, opacityProperty: false })
      && !it.disabled && it.type !== 'hidden' && it.tabIndex >= 0 && isFirst(it))
}
"""
AT = f"""
() => {{
  const here = document.activeElement, {{ outlineStyle, boxShadow }} = getComputedStyle(here)
  const isSeen = outlineStyle !== 'none' || boxShadow !== 'none'
  return [({STOPS})().indexOf(here), isSeen, here.outerHTML.slice(0, 100)]
}}
"""


# The spacing that people may set (WCAG 1.4.12), and the boxes that then cut their text.
SPACED = """
() => {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(
    '*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important}'
    + 'p{margin-block-end:2em!important}')
  document.adoptedStyleSheets.push(sheet)
  const isCut = it => getComputedStyle(it).overflow !== 'visible'
    && (it.scrollHeight > it.clientHeight + 1 || it.scrollWidth > it.clientWidth + 1)
  return [...document.querySelectorAll('body *')]
    .filter(it => it.checkVisibility() && it.innerText && !it.closest('.hidden-visually, .skip'))
    .filter(isCut).map(it => it.outerHTML.slice(0, 100))
}
"""


@pytest.fixture(scope="module")
def alice(site):
    return newcomer(site, "alice")


def nameless(page):
    """Return the roles of controls that have no name in Chromium's accessibility tree."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    shown = [node for node in nodes if not node["ignored"]]
    controls = [node for node in shown if node["role"]["value"] in CONTROLS]
    assert controls
    return [node["role"]["value"] for node in controls if not node["name"]["value"].strip()]


def faults_of_keyboard(page):
    """Return what goes wrong when somebody presses Tab from the top of the page to its end."""
    stops = page.evaluate(f"() => ({STOPS})().length")
    # A field may have the focus already.
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus() }")
    faults, reached = [], []
    for _ in range(stops):
        page.keyboard.press("Tab")
        index, is_seen, text = page.evaluate(AT)
        reached.append(index)
        if not is_seen:
            faults.append(f"no visible focus: {text}")
    return faults if reached == list(range(stops)) else [*faults, f"order: {reached}"]


@proves(
    "WCAG-1.3.1",
    "WCAG-1.4.12",
    "WCAG-2.1.1",
    "WCAG-2.1.2",
    "WCAG-2.4.3",
    "WCAG-2.4.7",
    "WCAG-4.1.2",
)
@pytest.mark.parametrize("path", [*FOR_STRANGERS, *FOR_MEMBERS])
def test_each_control_has_a_name_tab_reaches_all_visibly_and_spacing_cuts_no_text(
    path, site, alice, open_page
):
    page = open_page(site)
    if path in FOR_MEMBERS:
        become(page, alice)
    page.goto(path)

    assert nameless(page) == []
    assert faults_of_keyboard(page) == []
    assert page.evaluate(SPACED) == []


@proves("WCAG-2.4.1", "WCAG-3.2.1", "WCAG-2.1.1")
def test_alice_signs_in_and_out_by_the_keyboard_alone(site, open_page):
    newcomer(site, "bob")
    page = open_page(site)
    page.goto(LOGIN)
    page.get_by_label("Username or email address").focus()
    page.keyboard.type("bob")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hello")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sign")
