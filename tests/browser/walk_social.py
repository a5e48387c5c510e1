"""The walk through every page of signing in with others and each state of one."""

from collections.abc import Iterator

from playwright.sync_api import Page, Route

from tests.browser.providers import CONNECTIONS, go_to, grow_stale, show
from tests.browser.steps import member, press, says, sees, sign_in, sign_out
from tests.support.site import Site

LOGIN = "/accounts/login/"
LONG_NAME = "W" * 50


def walk_social(page: Page, site: Site, username: str) -> Iterator[str]:
    """Stop at each page and each state of one, and say what title it has."""
    yield from on_the_way(page)
    member(site, username)
    yield from being_connected(page, username)
    yield from connected(page, site, username)
    yield from with_nothing_else(page, site, username)


def on_the_way(page: Page) -> Iterator[str]:
    for path, title in (
        (LOGIN, "Sign in"),
        ("/accounts/signup/", "Create an account"),
        ("/accounts/google/login/", "Continue with Google"),
        ("/accounts/oidc/acme/login/callback/?code=x&state=x", "That can’t be done"),
    ):
        page.goto(path)
        yield title
    page.goto(LOGIN)
    go_to(page, "Silent")
    sees(page, "That didn’t work")
    yield "That didn’t work"
    page.route("**/away/login/", _stay)
    page.goto(LOGIN)
    go_to(page, "Away")
    sees(page, "On to Away")
    yield "Continue with Away"


def _stay(route: Route) -> None:
    """The page that leads on at once, without that."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("http-equiv", "data-not"))


def being_connected(page: Page, username: str) -> Iterator[str]:
    page.goto(LOGIN)
    go_to(page)
    show(page, username)
    says(page, "There is an account with")
    yield "Sign in"
    sign_in(page, username)
    yield "Connect it?"
    press(page, "Don’t connect")
    page.goto(CONNECTIONS)
    says(page, "None is connected.")
    yield "Sign-in with other sites"


def connected(page: Page, site: Site, username: str) -> Iterator[str]:
    go_to(page)
    sees(page, "Connect Acme with your account?")
    yield "Connect it?"
    press(page, "Connect")
    says(page, "You can sign in with Acme now.")
    yield "Sign-in with other sites"
    go_to(page, "Rival")
    show(page, f"{username}{LONG_NAME}.unverified", "Rival")
    press(page, "Connect")
    says(page, LONG_NAME)
    yield "Sign-in with other sites"
    grow_stale(site)
    page.goto("/accounts/password/change/")
    says(page, "What comes next is sensitive.")
    yield "Is it you?"
    sign_out(page)


def with_nothing_else(page: Page, site: Site, username: str) -> Iterator[str]:
    page.context.clear_cookies()
    page.goto(LOGIN)
    go_to(page)
    show(page, f"{username}lonely")
    page.goto(CONNECTIONS)
    says(page, "Nothing else opens your account.")
    yield "Sign-in with other sites"
    grow_stale(site)
    page.goto("/accounts/password/set/")
    sees(page, f"Is it you, {username}lonely?")
    yield "Is it you?"
