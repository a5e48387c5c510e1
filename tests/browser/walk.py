"""The walk through every page and each state of one."""

from collections.abc import Iterator

from playwright.sync_api import Page, expect

from tests.browser.steps import (
    IPHONE,
    LONG_AGO,
    PASSWORD,
    broken,
    go,
    lives_long,
    notice_link,
    press,
    read_mail,
    says,
    sees,
    sign_in,
    sign_out,
    sign_up,
)
from tests.support import steps
from tests.support.site import Site
from tests.support.steps import sql


def walk(page: Page, site: Site, username: str) -> Iterator[str]:
    """Stop at each page and each state of one, and say what title it has."""
    yield from as_a_newcomer(page, site, username)
    yield from as_a_member(page, site, username)
    yield from on_several_devices(page, site, username)
    yield from with_a_past(page, site, username)
    yield from as_oneself(page, site, username)
    yield from with_addresses(page, site, username)
    yield from with_a_new_password(page, site, username)
    yield from under_suspicion(page, site, username)
    yield from as_the_forgetful(page, site, username)
    yield from as_the_owner(page, site)
    yield from in_bad_luck(page, site)


def as_a_newcomer(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/")
    yield "Sign in"
    sign_in(page, "nobody")
    yield "Error: Sign in"
    page.goto("/accounts/signup/")
    yield "Create an account"
    press(page, "Create an account")
    yield "Error: Create an account"
    page.goto("/accounts/confirm-email/")
    yield "Confirm your email address"
    page.goto("/accounts/login/")
    sign_up(page, username)
    yield "Confirm your email address"
    page.get_by_label("Code").fill("22222222")
    press(page, "Confirm")
    yield "Error: Confirm your email address"
    page.get_by_text("Wrong address?").click()
    page.get_by_label("Email address").fill("no address")
    press(page, "Correct it and send a new mail")
    yield "Error: Confirm your email address"
    resend = page.get_by_role("button", name="Send a new mail", exact=True)
    resend.evaluate("button => button.disabled = false")
    resend.click()
    yield "Too many attempts"


def as_a_member(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/dev/mail/")
    yield "Mail"
    subject = read_mail(page, site, username)
    page.get_by_text("HTML part").click()
    yield subject
    page.get_by_role("link", name="/accounts/confirm-email/").first.click()
    sees(page, "Confirm your email address")
    link = page.url
    yield "Confirm your email address"
    session = page.context.cookies()
    page.context.clear_cookies()
    page.goto(link)
    yield "Confirm your email address"
    press(page, "Confirm and sign in")
    yield "Error: Confirm your email address"
    page.context.add_cookies(session)
    page.goto(link)
    press(page, "Confirm and sign in")
    yield "Your account"
    page.goto("/accounts/logout/")
    yield "Sign out"
    page.goto("/admin/")
    yield "Not allowed"
    page.goto("/no-such-page")
    yield "Page not found"
    page.goto(link)
    yield "This link doesn’t work any more"
    sign_out(page)
    yield "Sign in"


def on_several_devices(page: Page, site: Site, username: str) -> Iterator[str]:
    sign_in(page, username)
    page.get_by_role("link", name="Where you’re signed in").first.click()
    yield "Where you’re signed in"
    for column in ("used_at", "challenged_at"):
        steps.sign_in(site.client(User_Agent=IPHONE), username, PASSWORD)
        sql(
            site,
            f"UPDATE accounts_loginsession SET {column} = ?"  # noqa: S608
            " WHERE id = (SELECT id FROM accounts_loginsession ORDER BY begun_at DESC LIMIT 1)",
            LONG_AGO,
        )
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("Not used lately")
    expect(page.get_by_role("main")).to_contain_text("Another browser used this sign-in")
    yield "Where you’re signed in"
    press(page, "Sign out everywhere else")
    expect(page.get_by_role("main")).to_contain_text("2 sign-ins were ended.")
    yield "Where you’re signed in"


def with_a_past(page: Page, site: Site, username: str) -> Iterator[str]:
    page.get_by_role("link", name="Activity").click()
    page.get_by_role("link", name="Failed attempts").click()
    expect(page.get_by_role("main")).to_contain_text("Nothing of this kind")
    yield "Activity"
    lives_long(site, username)
    page.get_by_role("link", name="Everything").click()
    expect(page.get_by_role("main")).to_contain_text("Done by carol")
    yield "Activity"
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("main")).to_contain_text("Page 2 of 2")
    yield "Activity"


def as_oneself(page: Page, site: Site, username: str) -> Iterator[str]:
    go(page, "Profile")
    yield "Your profile"
    page.get_by_label("Display name").fill("x" * 61)
    press(page, "Save")
    yield "Error: Your profile"
    page.get_by_label("Display name").fill("W" * 60)
    press(page, "Save")
    yield "Your profile"
    page.get_by_label("New username").fill("two words")
    press(page, "Change it")
    yield "Error: Your profile"
    page.get_by_label("New username").fill(username.upper())
    press(page, "Change it")
    says(page, "You can change it once a day")
    yield "Your profile"
    go(page, "Home")
    yield "Your account"


def with_addresses(page: Page, site: Site, username: str) -> Iterator[str]:
    new = f"{username}.of.a.very.long.name.and.no.hyphen@other.example"
    go(page, "Addresses")
    yield "Email addresses"
    page.get_by_label("Email address").fill("no address")
    press(page, "Add it")
    yield "Error: Email addresses"
    page.get_by_label("Email address").fill(new)
    press(page, "Add it")
    says(page, "Not confirmed")
    yield "Email addresses"
    page.get_by_label("Code").fill("22222222")
    press(page, "Confirm")
    yield "Error: Email addresses"
    read_mail(page, site, new)
    page.get_by_role("link", name="/accounts/email/confirm/").click()
    sees(page, "Confirm your email address")
    link = page.url
    yield "Confirm your email address"
    press(page, "Add the address")
    says(page, "The address was added.")
    yield "Email addresses"
    press(page, f"Make primary {new}")
    says(page, "is primary now.")
    yield "Email addresses"
    page.goto(link)
    yield "This link doesn’t work any more"
    page.goto(notice_link(site, username, about="primary"))
    says(page, "becomes your primary address again")
    yield "Lock the account down"
    page.goto("/accounts/email/")
    press(page, f"Make primary {username}@example.org")


def with_a_new_password(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/accounts/password/change/", wait_until="networkidle")
    yield "Change your password"
    page.get_by_label("New password").press_sequentially("PassWord1234")
    says(page, "attackers try first")
    yield "Change your password"
    press(page, "Suggest a strong password")
    yield "Change your password"
    page.get_by_label("New password").fill("short")
    press(page, "Set the new password")
    yield "Error: Change your password"
    page.get_by_label("New password").fill(PASSWORD)
    press(page, "Set the new password")
    says(page, "Every other sign-in has ended.")
    yield "Your account"
    for name in ("Help", "Privacy"):
        page.get_by_role("contentinfo").get_by_role("link", name=name).click()
        yield name


def under_suspicion(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/accounts/reauthenticate/")
    yield "Is it you?"
    press(page, "Go on")
    yield "Error: Is it you?"
    sql(site, "UPDATE accounts_loginsession SET browser = 'Safari', agent = ''")
    page.goto("/")
    yield "Is it you?"
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Go on")
    sql(site, "UPDATE accounts_user SET password = '!' WHERE username_key = ?", username)
    page.goto("/accounts/reauthenticate/")
    expect(page.get_by_role("main")).to_contain_text("The account has no password.")
    yield "Is it you?"
    page.goto("/accounts/password/change/")
    yield "Set a password"
    page.goto("/accounts/lockdown/")
    yield "Lock the account down"
    page.context.clear_cookies()
    page.goto(notice_link(site, username))
    yield "Lock the account down"
    link = page.url
    press(page, "Lock the account down")
    yield "The account is locked down"
    page.goto(link)
    yield "This link doesn’t work any more"


def as_the_forgetful(page: Page, site: Site, username: str) -> Iterator[str]:
    page.goto("/help/")
    yield "Help"
    page.goto("/accounts/login/code/")
    yield "Sign in with a code"
    press(page, "Send the code")
    yield "Error: Sign in with a code"
    page.get_by_label("Username or email address").fill(username)
    press(page, "Send the code")
    yield "Enter the code"
    page.get_by_label("Code").fill("22222222")
    press(page, "Sign in")
    yield "Error: Enter the code"
    page.goto("/accounts/password/reset/")
    yield "Forgot your password?"
    press(page, "Send the mail")
    yield "Error: Forgot your password?"
    page.get_by_label("Username or email address").fill(username)
    press(page, "Send the mail")
    yield "Look into your mailbox"
    read_mail(page, site, username, about="Set a new password")
    page.get_by_role("link", name="/accounts/password/reset/").click()
    sees(page, "Set a new password")
    link = page.url
    yield "Set a new password"
    page.get_by_label("New password").fill("short")
    press(page, "Set the new password")
    yield "Error: Set a new password"
    page.get_by_label("New password").fill(PASSWORD)
    press(page, "Set the new password")
    says(page, "Your new password is set.")
    yield "Sign in"
    page.goto(link)
    yield "This link doesn’t work any more"


def as_the_owner(page: Page, site: Site) -> Iterator[str]:
    page.goto(site.manage("create_owner").strip())
    yield "Make the first administrator"
    press(page, "Make the first administrator")
    yield "Error: Make the first administrator"
    page.goto("/accounts/owner/no-such-token/")
    yield "This link doesn’t work any more"


def in_bad_luck(page: Page, site: Site) -> Iterator[str]:
    page.goto("/accounts/inactive/")
    yield "Account switched off"
    page.goto("/accounts/login/")
    page.context.clear_cookies()
    sign_in(page, "alice")
    yield "The form was not accepted"
    page.goto("/accounts/login/")
    page.locator("main form").first.evaluate(
        "form => form.append(...Array.from({length: 300}, () => form.elements[0].cloneNode()))"
    )
    press(page, "Sign in")
    yield "Bad request"
    page.goto("/accounts/login/")
    with broken(site):
        sign_in(page, "alice")
    yield "Something went wrong"
