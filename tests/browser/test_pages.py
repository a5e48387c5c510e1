"""Every page in its fullest state: accessible, narrow, with large text, in forced colours."""

import json
import re
from itertools import chain, cycle

from playwright.sync_api import expect

from accounts.oauth.clients.models import Client as OAuthClient
from tests.support import apps, authorize
from tests.support.browser import axe, axe_source
from tests.support.browser_rows import KEYS, NEW_KEY, WIDE
from tests.support.browser_steps import (
    LONG_AGO,
    NEW_PASSWORD,
    administrator,
    become,
    link_for,
    newcomer,
)
from tests.support.invitations import INVITE
from tests.support.second_factor import (
    CHALLENGE,
    EMAILED_CODES,
    RECOVERY_CODES,
    SETUP,
    recovery_codes_on,
    set_up_authenticator,
)
from tests.support.site import Client
from tests.support.standards import proves
from tests.support.steps import (
    CODE,
    CONFIRM,
    IPHONE,
    LOGIN,
    PASSWORD,
    SIGNUP,
    address_of,
    sign_in,
    sign_up,
    sql,
)

NORMAL, LARGE = 16, 32  # pixels: the usual text size of browsers, and 200 % of it (WCAG 1.4.4)
# Only the values of fields may be wider than their box. Forced colours remove backgrounds, so that
# a chosen link must differ from the others in its edge or weight, and a control must have an edge.
FIND = """
() => {
  const styleOf = element => getComputedStyle(element)
  const edge = element => {
    const { fontWeight, borderInlineStartColor, outlineStyle } = styleOf(element)
    return `${fontWeight} ${borderInlineStartColor} ${outlineStyle}`
  }
  const isOutside = element => {
    const { left, right } = element.getBoundingClientRect()
    return left < -1 || right > innerWidth + 1
  }
  const others = element =>
    [...element.closest('nav').querySelectorAll('a:not([aria-current])')]
  const is = (selector, test) => element => element.matches(selector) && test(element)
  const FAULTS = {
    'is outside the screen': isOutside,
    'is wider than its box': is(
      ':not(input, select, textarea)',
      element => element.clientWidth && element.scrollWidth > element.clientWidth + 1
    ),
    'has no room for words': is(
      '.input', element => element.clientWidth < 5 * parseFloat(styleOf(element).fontSize)
    ),
    'has no words': is('.state, .tag', element => !element.innerText.trim()),
    'has no edge': is(
      '.button, .input, .track, .notice, .card',
      element => styleOf(element).borderTopStyle === 'none'
    ),
    'looks like the others': is(
      '[aria-current]', element => others(element).some(other => edge(other) === edge(element))
    ),
  }
  const shown = [...document.querySelectorAll('body *')].filter(
    element => element.checkVisibility({ visibilityProperty: true })
      && !element.closest('.hidden-visually, .skip, svg')
  )
  const found = Object.entries(FAULTS).flatMap(([fault, test]) =>
    shown.filter(test).map(element => `${fault}: ${element.outerHTML.slice(0, 200)}`)
  )
  const scrolls = document.documentElement.scrollWidth > innerWidth
  return scrolls ? ['scrolls sideways', ...found] : found
}
"""


def faults_in_corners(page):
    """Return the faults of a page on a phone with large text, right to left, in forced colours.

    The menu is open.
    """
    session = page.context.new_cdp_session(page)

    def set_text_size(pixels):
        sizes = {"standard": pixels, "fixed": pixels}
        session.send("Page.setFontSizes", {"fontSizes": sizes})

    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(forced_colors="active")
    set_text_size(LARGE)
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.evaluate("document.querySelector('[popover]')?.showPopover()")
    found: list[str] = page.evaluate(FIND)
    set_text_size(NORMAL)
    page.emulate_media(forced_colors="none")
    session.detach()
    return found


PROVIDERS = ("GOOGLE", "GITHUB", "FACEBOOK", "TWITTER")
# Chromium goes on with cookies of clients that have another user agent.
SITE = {"SESSION_PROTECTION": "off"} | {
    f"{name}_{part}": "x" for name in PROVIDERS for part in ("CLIENT_ID", "CLIENT_SECRET")
}
# WCAG 1.4.10 forbids scrolling in two directions on a screen that is 320 pixels wide.
NARROW = {"width": 320, "height": 640}
LOOKS = (("light", {"width": 1280, "height": 720}), ("dark", NARROW))
# ``innerWidth`` would not do: on a phone it grows with content that is too wide.
OVERFLOWS = "width => document.documentElement.scrollWidth > width"
RESET = "/accounts/password/reset/"
LOCKDOWN, REVIEW = "/accounts/lockdown/", "/accounts/review/"
OBJECTION = "/accounts/2fa/recovery/"
type Stop = tuple[Client, str, str]


def look_at_each(site, open_page, *stories):
    """Look at each page in turn with axe, on a wide light and a narrow dark screen."""
    page, faults = open_page(site, expect=(400, 403, 404)), []
    page.add_init_script(axe_source())
    stops = chain.from_iterable(story(site) for story in stories)
    for (who, path, title), (colours, size) in zip(stops, cycle(LOOKS), strict=False):
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size(size)
        become(page, who)
        page.goto(path)
        expect(page).to_have_title(f"{title} \N{EN DASH} authsite")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        found = axe(page)
        page.set_viewport_size(NARROW)
        if page.evaluate(OVERFLOWS, NARROW["width"]):
            found.append("scrolls sideways")
        if not path.startswith("/admin/"):  # Django's own pages
            found += faults_in_corners(page)
        faults += [f"{path}, {colours}: {fault}" for fault in found]

    assert faults == []


def as_anonymous(site):
    stranger, waiting, asking = (site.client() for _ in range(3))
    yield stranger, LOGIN, "Sign in"
    yield stranger, SIGNUP, "Create an account"
    yield stranger, CODE, "Sign in with a code"
    yield stranger, RESET, "Forgot your password?"
    yield stranger, "/accounts/google/login/", "Continue with Google"
    yield stranger, "/accounts/inactive/", "Account deactivated"
    yield stranger, "/help/", "Help"
    yield stranger, "/privacy/", "Privacy"
    yield stranger, "/no-such-page", "Page not found"
    yield stranger, CONFIRM, "Confirm your email address"
    yield stranger, site.manage("create_owner").strip(), "Create the administrator account"
    sign_up(waiting, "waiting")
    yield waiting, CONFIRM, "Confirm your email address"
    asking.post(CODE, {"login": "nobody"})
    yield asking, CODE, "Enter the code"


def by_mailed_links(site):
    """Yield the pages of mailed links, in a browser without a session."""
    stranger = site.client()
    newcomer(site, "mailed")
    sign_in(site.client(User_Agent=IPHONE), "mailed")
    # Waits for this email, so that the one about the reset is the newest.
    lock = link_for(site, "mailed", "new browser", LOCKDOWN)
    stranger.post(RESET, {"login": "mailed"})
    yield stranger, link_for(site, "mailed", "Set a new password", RESET), "Set a new password"
    yield stranger, lock, "Lock your account"
    confirm = link_for(site, "waiting", "is your code", CONFIRM)
    yield stranger, confirm, "Confirm your email address"
    yield stranger, f"{RESET}no-such-token/", "This link doesn’t work any more"
    yield stranger, "/accounts/delete/undo/no-such-token/", "This link doesn’t work any more"
    yield stranger, "/dev/mail/", "Emails"
    newest = re.search(r"/dev/mail/[\w-]+/", stranger.get("/dev/mail/").text)
    assert newest
    yield stranger, newest[0], "Set a new password for authsite"


def fill(site, how, username):
    """Let a function of ``tests.support.browser_rows`` add rows to an account."""
    program = f"from tests.support import browser_rows; browser_rows.{how}({username!r})"
    site.manage("shell", "--no-imports", "-c", program)


def as_a_member(site):
    """Yield the pages of a member.

    The account has a history, three sessions, a long name, an unconfirmed email and 7 API keys.
    """
    alice = newcomer(site, "alice")
    for _ in range(2):
        sign_in(site.client(User_Agent=IPHONE), "alice")
    assert alice.post("/accounts/email/", {"email": f"{WIDE}@other.example"}).status == 302
    sql(site, "UPDATE accounts_user SET display_name = ? WHERE username = 'alice'", WIDE)
    fill(site, "fill_account", "alice")
    yield alice, "/", "Overview"
    yield alice, "/accounts/sessions/", "Where you’re signed in"
    yield alice, "/accounts/activity/?page=2", "Activity"
    changes = alice.get("/accounts/activity/?group=change").text
    signed_up = re.search(r"/accounts/activity/\d+/", changes)
    assert signed_up
    yield alice, signed_up[0], "Wasn’t this you?"
    yield alice, "/accounts/profile/", "Your profile"
    yield alice, "/accounts/email/", "Email addresses"
    yield alice, "/accounts/password/change/", "Change your password"
    yield alice, "/accounts/reauthenticate/", "Is that you?"
    yield alice, "/accounts/3rdparty/", "Sign-in providers"
    yield alice, KEYS, "API keys"
    yield alice, "/accounts/apps/", "Connected apps"
    yield alice, "/accounts/apps/notes/", f"Disconnect {WIDE}?"
    yield from on_the_way_to_an_app(site, alice)
    yield alice, NEW_KEY, "Create an API key"
    yield alice, SETUP, "Set up an authenticator app"
    yield alice, "/accounts/2fa/passkeys/add/", "Add a passkey"
    yield alice, LOCKDOWN, "Lock your account"
    yield alice, "/accounts/delete/", "Delete your account"
    yield alice, "/accounts/logout/", "Sign out"
    yield alice, "/admin/", "Not allowed"


def on_the_way_to_an_app(site, alice):
    """Yield the pages that an app with a long name and a long host leads to."""
    uri = f"https://{WIDE}.example/callback".lower()
    sql(site, "UPDATE oauth_client SET redirect_uris = ? WHERE id = 'notes'", f'["{uri}"]')
    begin = authorize.address(OAuthClient(pk="notes"), redirect_uri=uri, scope="openid")
    for prompt in ("consent", "select_account"):
        here = alice.get(f"{begin}&prompt={prompt}").location
        yield alice, here, f"Sign in to {WIDE}"
    sql(site, "UPDATE oauth_client SET is_device = 1 WHERE id = 'notes'")
    asks = {"client_id": "notes", "scope": "openid"}
    codes = site.client().post("/oauth/device_authorization", asks, csrf=False).body
    yield alice, "/oauth/device?user_code=BCDF-GHJK", "Connect a device"
    here = alice.post("/oauth/device", {"user_code": json.loads(codes)["user_code"]}).location
    yield alice, here, f"Sign in to {WIDE}"
    yield (
        alice,
        f"{authorize.AUTHORIZE}?client_id=notes",
        "The app sent a request that we can’t accept",
    )
    yield site.client(), "/oauth/continue/none", "Start again in the app"


def with_second_factors(site):
    """Yield the pages of an account with all second factors, and of their recovery."""
    bob, trusted, lost = newcomer(site, "bob"), site.client(), site.client()
    set_up_authenticator(bob, name=WIDE)
    code = recovery_codes_on(bob.get(RECOVERY_CODES).text)[9]
    yield bob, RECOVERY_CODES, "Recovery codes"
    assert bob.post(RECOVERY_CODES, {"code": code}).location == "/accounts/2fa/"
    sign_in(trusted, "bob")
    assert trusted.post(CHALLENGE, {"code": code, "trust": "on"}).location == "/"
    fill(site, "add_passkey", "bob")
    sign_in(lost, "bob")
    yield lost, CHALLENGE, "Confirm that it’s you"
    lost.post(RESET, {"login": "bob"})
    reset = link_for(site, "bob", "Set a new password", RESET)
    assert lost.post(reset, {"lost": "ask"}).status == 302
    yield lost, reset, "Confirm that it’s you"
    for method in ("totp", "recovery_code", "email"):
        yield lost, f"{CHALLENGE}?method={method}", "Confirm that it’s you"
    yield bob, "/accounts/2fa/", "Passkeys and two-step verification"
    yield bob, EMAILED_CODES, "Emailed codes"
    for kind, title in (("totp", "Authenticator app"), ("passkeys", "Passkey")):
        found = re.search(rf"/accounts/2fa/{kind}/\d+/", bob.get("/accounts/2fa/").text)
        assert found
        yield bob, found[0], title
    yield bob, "/accounts/reauthenticate/", "Is that you?"
    yield bob, "/accounts/recovery/", "Stop the recovery request"
    link = link_for(site, "bob", "asked to remove your passkeys and authenticator apps", OBJECTION)
    yield lost, link, "Stop the recovery request"
    yield lost, f"{OBJECTION}no-such-token/", "There’s no recovery request to stop"
    bob.post(RECOVERY_CODES, {"new": "1"})
    yield bob, RECOVERY_CODES, "Save your recovery codes"


def in_a_dispute(site):
    """Yield the pages of a locked account, from its unlocking to the review."""
    owner = newcomer(site, "disputed")
    # Nothing younger than a week counts.
    for table, since in (("user", "date_joined"), ("emailaddress", "confirmed_at")):
        age = f"UPDATE accounts_{table} SET {since} = ? WHERE email = ?"
        sql(site, age, LONG_AGO, address_of("disputed"))
    set_up_authenticator(owner, name=WIDE)
    dead = f"{LOCKDOWN}no-such-token/"
    yield owner, dead, "This link doesn’t work any more"
    assert owner.post(link_for(site, "disputed", "app was added", LOCKDOWN)).status == 200
    owner.post(RESET, {"login": "disputed"})
    link = link_for(site, "disputed", "Set a new password", RESET)
    yield owner, link, "Show that it’s you"
    owner.post(link, {"former": PASSWORD})
    owner.post(link, {"password1": NEW_PASSWORD})
    sign_in(owner, "disputed", NEW_PASSWORD)
    yield owner, "/", "Overview"
    yield owner, REVIEW, "Review your account"


def as_staff(site):
    carol = administrator(site, "carol")
    newcomer(site, "dave")
    yield carol, "/accounts/what-next/", "What’s next"
    yield carol, "/api/v1/docs/", "authsite API"
    yield carol, "/admin/", "Site administration"
    yield carol, "/admin/accounts/user/", "People"
    people = carol.get("/admin/accounts/user/?q=dave").text
    dave = re.search(r"/admin/accounts/user/[\w-]+/change/", people)
    assert dave
    yield carol, dave[0], "dave"
    yield carol, f"{dave[0]}deactivate/", "Deactivate the account"
    chosen = {"action": "deactivate", "_selected_action": [dave[0].split("/")[-3]]}
    page = carol.post("/admin/accounts/user/", chosen).location
    yield carol, page, "Deactivate the account"
    carol.post(page, {"reason": "You called us"})
    yield carol, page, "1 account deactivated"
    yield carol, "/admin/auth/group/add/", "Add group"
    yield carol, INVITE, "Invite someone"
    carol.post(INVITE, {"email": "erin@example.org", "days": "7"})
    yield carol, "/admin/accounts/invitation/", "Invitations"
    link = link_for(site, "erin", "invited", "/accounts/invitation/")
    yield site.client(), link, "You\N{RIGHT SINGLE QUOTATION MARK}re invited"
    yield carol, "/admin/accounts/dailycount/", "Overview"
    yield carol, apps.ADD, "Register an app"
    yield carol, f"{apps.ADD}?kind=web", "Register an app"
    app = {**apps.FORM, "name": WIDE, "redirect_uris": f"{apps.WEB}/{WIDE * 4}"}
    shown = carol.post(apps.ADD, app, csrf=carol.csrf(f"{apps.ADD}?kind=web")).text
    yield carol, apps.LIST, "Apps"
    app_id = re.search(r'id="client-id" dir="ltr">(\w+)<', shown)
    assert app_id
    page = f"{apps.LIST}{app_id[1]}/"
    carol.post(f"{page}secret/", {"reason": "It leaked"}, csrf=carol.csrf(apps.LIST))
    yield carol, f"{page}change/", f"{WIDE} \N{EN DASH} Change app"
    hook = {"description": WIDE, "url": f"https://example.org/{WIDE}", "format": "webhook"}
    hook |= {"kinds": "user.created", "reason": "Payroll"}
    hooks = "/admin/webhooks/endpoint/"
    shown = carol.post(f"{hooks}add/", hook, csrf=carol.csrf(f"{hooks}add/")).text
    yield carol, hooks, "Webhooks"
    page = re.search(rf"{hooks}[\w-]{{36}}/", shown)
    assert page
    carol.post(f"{page[0]}test/", {}, csrf=carol.csrf(hooks))
    yield carol, f"{page[0]}change/", f"{WIDE} \N{EN DASH} Change webhook"
    site.manage("scim_token", WIDE[:30])
    directories = "/admin/scim/directory/"
    yield carol, directories, "Directories"
    page = re.search(rf"{directories}[\w-]{{36}}/", carol.get(directories).text)
    assert page
    yield carol, f"{page[0]}change/", f"{WIDE[:30]} \N{EN DASH} Change directory"


@proves(
    "WCAG-1.3.4",
    "WCAG-1.3.5",
    "WCAG-1.4.3",
    "WCAG-1.4.10",
    "WCAG-2.4.2",
    "WCAG-3.2.6",
    "WCAG-3.3.2",
)
def test_pages_of_strangers_are_accessible_and_fit_their_screens(site, open_page):
    look_at_each(site, open_page, as_anonymous, by_mailed_links)


@proves(
    "WCAG-1.1.1", "WCAG-1.3.1", "WCAG-1.4.4", "WCAG-2.4.4", "WCAG-2.4.6", "WCAG-2.5.3", "WCAG-2.5.8"
)
def test_pages_of_members_are_accessible_and_fit_their_screens(site, open_page):
    look_at_each(site, open_page, as_a_member)


def test_pages_of_staff_are_accessible_and_fit_their_screens(site, open_page):
    look_at_each(site, open_page, as_staff)


@proves("WCAG-1.4.1")
def test_pages_of_second_factors_are_accessible_and_fit_their_screens(site, open_page):
    look_at_each(site, open_page, with_second_factors)


def test_pages_of_disputes_are_accessible_and_fit_their_screens(site, open_page):
    look_at_each(site, open_page, in_a_dispute)
