"""Rows that fill the pages of an account; these functions run in the shell of a site."""

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.oauth.models import Connection
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import Passkey
from accounts.users.models import User
from tests.support.api_keys import key_of
from tests.support.apps import connect_app, make_app
from tests.support.steps import IPHONE
from tests.support.webauthn import registered

WIDE = "W" * 60
KEYS, NEW_KEY = "/accounts/keys/", "/accounts/keys/new/"
PLACE = ClientInfo("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", IPHONE)


def fill_account(username: str) -> None:
    """Add a long history, many keys, and an unverified app that stays connected."""
    user = User.objects.get(username=username)
    for _ in range(30):
        record(user, events.SIGN_IN_FAILED, Actor(PLACE))
        record(user, events.OTHERS_ENDED, Actor(PLACE, name="carol"), detail="3")
    for number in range(7):
        days = 30 if number % 2 else None
        key_of(user, "activity:read profile:read sessions:write", days=days, name=WIDE)
    user.api_keys.update(used_at=clock.now(), ip=PLACE.ip)
    elsewhere = LoginSession.objects.filter(user=user, kind="browser").latest("begun_at")
    user.api_keys.filter(expires_at=None).update(session=elsewhere.pk)
    app = make_app(WIDE, pk="notes", is_public=True, scope="openid")
    for browser in LoginSession.objects.filter(user=user, kind="browser"):
        connect_app(browser, app, "openid")
        connect_app(browser, app, "openid email offline_access", is_offline=True)
    Connection.objects.update(audience=f"https://{WIDE}.example")


def add_passkey(username: str) -> None:
    registered(User.objects.get(username=username))
    Passkey.objects.update(name=WIDE)
