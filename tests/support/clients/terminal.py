"""A person who lets a program without a browser of its own sign in."""

import re
from urllib.parse import parse_qs, urlsplit

from tests.support.journey import Journey
from tests.support.process import Process
from tests.support.site import Client, Response

NAME = "terminal.py"


def shown(running: Process, pattern: str) -> str:
    """Wait until the program prints text for the person, and return it."""
    running.wait_until(lambda: bool(re.search(pattern, running.log())), NAME)
    return re.findall(pattern, running.log())[0]


def agree(browser: Client, url: str) -> Response:
    """Open the page at which the program wants to sign the person in, and allow it."""
    (back,) = parse_qs(urlsplit(url).query)["redirect_uri"]
    journey = Journey(browser, Client(back.removesuffix("/callback")))
    return journey.send(journey.open(url), "Allow")
