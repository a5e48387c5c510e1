"""Steps of tests about logout notices, which the site sends to apps."""

from accounts.common.leases import Sender
from accounts.oauth import logout
from accounts.oauth.clients.models import Client
from accounts.oauth.models import LogoutNotice
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.apps import connect_app, make_app
from tests.support.oauth_client import browser_of
from tests.support.process import within


def told_at(uri: str, name: str = "Paperless") -> Client:
    """Return an app that is told of ended sessions at ``uri``."""
    return make_app(name, backchannel_logout_uri=uri, backchannel_logout_is_private=True)


def ended(alice: User, app: Client) -> LoginSession:
    """Return a session of ``app`` that has just ended with its browser session."""
    browser = browser_of(alice)
    session = connect_app(browser, app)
    sessions.revoke(browser)
    return session


def send_all(sender: Sender[LogoutNotice] | None = None) -> None:
    """Send what is due, and wait until it is sent or has failed."""
    sender = sender or logout.sender()
    assert within(30, lambda: not sender.send_due())
