"""Steps of races over password resets and lockdowns."""

import re

from tests.support.nodes import Nodes
from tests.support.site import Client, Site, text_of
from tests.support.steps import LOGIN, path_of

RESET = "/accounts/password/reset/"
CHANGE = "/accounts/password/change/"
EMAIL = "/accounts/email/"
LOCKDOWN = "/accounts/lockdown/"
NEW = "a lantern over {} wet roofs"


def mailed(site: Site, to: str, subject: str, pattern: str, count: int = 1) -> str:
    """Return the line of the newest such mail that matches ``pattern``."""
    text = path_of(text_of(site.wait_for_mail(to=to, subject=subject, count=count)))
    found = re.search(rf"(?m)^(?:https?://[^/]+)?({pattern})$", text)
    assert found, text
    return found[1]


def reset_link(nodes: Nodes, name: str) -> str:
    assert nodes[0].client().post(RESET, {"login": name}).status == 200
    return mailed(nodes[0], f"{name}@", "Set a new password", rf"{RESET}[\w-]+/")


def opens(nodes: Nodes, name: str, password: str) -> bool:
    return nodes[0].client().post(LOGIN, {"login": name, "password": password}).status == 302


def waiting(browser: Client, address: str) -> str:
    """Return the id of an email that is not yet confirmed."""
    section = browser.get(EMAIL).text.partition(f"{address}</bdi>")[2]
    found = re.search(r'name="confirm" value="([^"]+)"', section)
    assert found
    return found[1]
