"""People who sign in to the apps of ``docs/sign-in-with.md``."""

from tests.support.client import Response
from tests.support.clients.apps import SHOP, Shop
from tests.support.journey import Journey
from tests.support.second_factor import SETUP, code_of, confirm_recovery_codes, seed_on
from tests.support.site import Site
from tests.support.steps import PASSWORD, join

# Where an app has a page of its own before it sends people to the site: how they go on from it.
BUTTONS = {"allauth_shop.py": "Sign in"}
LINKS = {"mozilla_shop.py": "/oidc/authenticate/"}


class Person:
    """Somebody with an account at ``site``, and a browser that knows the site and an app."""

    def __init__(self, site: Site, shop: Shop, username: str, *, has_factor: bool = True) -> None:
        self.username, self.shop, self._seed = username, shop, ""
        # The site accepts the codes of three time steps, each once.
        self._steps = iter((-1, 0, 1))
        at_home = site.client()
        join(site, at_home, username)
        if has_factor:
            self._seed = seed_on(at_home.get(SETUP).text)
            at_home.post(SETUP, {"code": self.code()})
            confirm_recovery_codes(at_home)
        self.at_site = site.client()
        self.forget_app()

    def forget_app(self) -> None:
        """Remove the cookies of the app from the browser, but not those of the site."""
        self.at_shop = self.shop.client()
        self.browser = Journey(self.at_site, self.at_shop)

    def sign_in(self) -> Response:
        """Open the app, sign in at the site and agree; return the app's page."""
        page = self.to_site()
        page = self.browser.send(page, login=self.username, password=PASSWORD)
        if self._seed:
            page = self.browser.send(page, code=self.code())
        assert "your username" in page.text, page.text
        return self.browser.send(page, "Allow")

    def code(self) -> str:
        """Return an unused code of the authenticator app."""
        return code_of(self._seed, next(self._steps))

    def to_site(self) -> Response:
        """Open the app as a stranger, and return the page of the site where this ends."""
        page = self.browser.open(f"{SHOP}/")
        if button := BUTTONS.get(self.shop.name):
            return self.browser.send(page, button)
        if link := LINKS.get(self.shop.name):
            return self.browser.open(SHOP + link)
        return page

    def to_vault(self) -> Response:
        """Open the page that requires a second factor."""
        page = self.browser.open(f"{SHOP}/vault")
        # allauth asks before it sends anybody away.
        return (
            self.browser.send(page, "Continue")
            if page.url.startswith(f"{SHOP}/accounts/")
            else page
        )
