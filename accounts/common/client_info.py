"""Information about the client that sent a request: IP address, networks and device."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ua_parser import parse

from accounts.common.client_ip import networks
from accounts.common.client_ip import parse as parse_ip

# A longer User-Agent, or a longer name in a User-Agent, is cut, because the rest has no use and
# takes time and storage.
LONGEST_USER_AGENT = 255
LONGEST_NAME = 40

# Words that are removed from the name of a browser. Browsers add them on a phone, inside an app or
# without a screen.
_VARIANTS = ("Mobile", "iOS", "WebView", "Headless")
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}
_HANDHELDS = ("iPhone", "iPad", "iPod")
_KNOWN = re.compile(r"[\w-]{43}", re.ASCII)
_NO_NAME = re.compile(r"[^\w +-]+")
# The only names of browsers and systems that pages and emails show. A client can send any name, so
# an attacker could otherwise put a message into the list of failed sign-ins of another person.
_SHOWN = {
    *("Brave", "Chrome", "Chromium", "DuckDuckGo", "Edge", "Firefox", "IE", "Opera", "Safari"),
    *("Samsung Internet", "Vivaldi", "Yandex Browser"),
    *("curl", "Python Requests", "Python-urllib", "Wget"),
    *("Android", "ChromeOS", "Debian", "Fedora", "FreeBSD", "iOS", *_HANDHELDS, "Linux", "macOS"),
    *("OpenBSD", "Ubuntu", "Windows"),
}


@dataclass(frozen=True)
class Device:
    """A browser family and an operating system, each of them empty if unknown.

    Versions are ignored, so that an update does not make a new device. ``str()`` returns a
    description that contains only well-known names.
    """

    browser: str = ""
    system: str = ""

    @property
    def is_handheld(self) -> bool:
        """Whether the device is a phone or a tablet."""
        return self.system in {"Android", *_HANDHELDS}

    def __str__(self) -> str:
        # The text is not "Unknown browser", because an API client may be another program.
        browser = self.browser if self.browser in _SHOWN else _("Unknown program")
        if self.system not in _SHOWN:
            return browser
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": self.system}


@dataclass(frozen=True)
class ClientInfo:
    """The IP address, the User-Agent and the known-browser cookie of a client.

    ``ip`` is empty if unknown. ``known_cookie`` is the secret in the cookie by which
    ``sessions.known_browsers`` recognizes a browser, or empty if there is no such cookie.
    """

    ip: str
    user_agent: str
    known_cookie: str = field(default="", repr=False)

    @cached_property
    def device(self) -> Device:
        """The browser and operating system that the User-Agent names."""
        parsed = parse(self.user_agent)
        browser = parsed.user_agent.family if parsed.user_agent else ""
        system = parsed.os.family if parsed.os else ""
        handheld = parsed.device.family if parsed.device else ""
        if handheld in _HANDHELDS:
            system = handheld
        return Device(_name(browser), _name(_SYSTEMS.get(system, system)))

    @cached_property
    def networks(self) -> tuple[tuple[str, int], ...]:
        """The networks that contain the client's IP address, narrowest first, with their weights.

        The rate limits of a network are ``weight`` times as large as the rate limits of the
        narrowest network.
        """
        ip = parse_ip(self.ip)
        return networks(ip) if ip else (("", 1),)

    @property
    def network(self) -> str:
        """The narrowest network of the client: its IPv4 address, or its IPv6 /64."""
        return self.networks[0][0]

    @property
    def wide_network(self) -> str:
        """The client's IPv4 /24 or IPv6 /48, the largest network that one customer usually has."""
        return self.networks[-1][0]


# The client of an act without a request, such as a management command.
NO_CLIENT = ClientInfo("", "")


def client_of(request: HttpRequest) -> ClientInfo:
    """Return the client that sent ``request``.

    Behind a proxy, ``ClientMiddleware`` must have set ``REMOTE_ADDR`` to the client's IP address.
    """
    known = request.COOKIES.get(settings.KNOWN_COOKIE_NAME, "")
    return client_from(request.META, known if _KNOWN.fullmatch(known) else "")


def client_from(meta: Mapping[str, Any], known_cookie: str = "") -> ClientInfo:
    """Return the client of a request with the WSGI environment ``meta``."""
    ip = parse_ip(meta["REMOTE_ADDR"])
    user_agent = meta.get("HTTP_USER_AGENT", "")[:LONGEST_USER_AGENT]
    if not user_agent.isprintable():
        # The client chooses this text, so replace characters that cannot be stored or shown.
        user_agent = "".join(c if c.isprintable() else " " for c in user_agent)
    return ClientInfo(str(ip or ""), user_agent, known_cookie)


def _name(family: str) -> str:
    for variant in _VARIANTS:
        family = family.replace(variant, "")
    return " ".join(_NO_NAME.sub(" ", family).split())[:LONGEST_NAME].strip()
