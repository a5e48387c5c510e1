"""Where a request comes from: the client's address, and its device in words."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ua_parser import parse

from accounts.common.client_ip import networks
from accounts.common.client_ip import parse as parse_ip

# Of a User-Agent and of a name in it: more says nothing, and costs time and room.
LONGEST_USER_AGENT = 255
LONGEST_NAME = 40

# One browser has many names: on a phone, inside an app, without a screen.
_VARIANTS = ("Mobile", "iOS", "WebView", "Headless")
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}
_HANDHELDS = ("iPhone", "iPad", "iPod")
_KNOWN = re.compile(r"[\w-]{43}", re.ASCII)
_NO_NAME = re.compile(r"[^\w +-]+")
# An app may call itself anything, and a stranger's failed sign-in is read by the owner of the
# account: only these are shown.
_SHOWN = {
    *("Brave", "Chrome", "Chromium", "DuckDuckGo", "Edge", "Firefox", "IE", "Opera", "Safari"),
    *("Samsung Internet", "Vivaldi", "Yandex Browser"),
    *("curl", "Python Requests", "Python-urllib", "Wget"),
    *("Android", "ChromeOS", "Debian", "Fedora", "FreeBSD", "iOS", *_HANDHELDS, "Linux", "macOS"),
    *("OpenBSD", "Ubuntu", "Windows"),
}


@dataclass(frozen=True)
class Device:
    """A family of browser and a system; empty where unknown. A version makes no other device.

    Its words show what is well known only.
    """

    browser: str = ""
    system: str = ""

    @property
    def is_handheld(self) -> bool:
        """Whether the device is a phone or a tablet."""
        return self.system in {"Android", *_HANDHELDS}

    def __str__(self) -> str:
        # It may be no browser, but a client of the API.
        browser = self.browser if self.browser in _SHOWN else _("Unknown program")
        if self.system not in _SHOWN:
            return browser
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": self.system}


@dataclass(frozen=True)
class ClientInfo:
    """The client's address, found by the middleware, and what its browser calls itself.

    ``known`` is the secret in the cookie by which ``sessions.known_browsers`` recognizes a browser.
    It is empty without that cookie.
    """

    ip: str
    user_agent: str
    known: str = field(default="", repr=False)

    @cached_property
    def device(self) -> Device:
        """The device, read off the User-Agent only when it's needed."""
        found = parse(self.user_agent)
        browser = found.user_agent.family if found.user_agent else ""
        system = found.os.family if found.os else ""
        handheld = found.device.family if found.device else ""
        if handheld in _HANDHELDS:
            system = handheld
        return Device(_name(browser), _name(_SYSTEMS.get(system, system)))

    @cached_property
    def networks(self) -> tuple[tuple[str, int], ...]:
        """The networks around the address with their weights: see ``client.networks``."""
        ip = parse_ip(self.ip)
        return networks(ip) if ip else (("", 1),)

    @property
    def network(self) -> str:
        """The narrowest of the networks: an IPv4 address or an IPv6 /64."""
        return self.networks[0][0]

    @property
    def wide_network(self) -> str:
        """The widest network that one subscriber may have: an IPv4 /24 or an IPv6 /48."""
        return self.networks[-1][0]


# For acts that no request causes, such as those of the command line.
NO_CLIENT = ClientInfo("", "")


def client_of(request: HttpRequest) -> ClientInfo:
    """Where ``request`` comes from."""
    ip = parse_ip(request.META["REMOTE_ADDR"])
    user_agent = request.META.get("HTTP_USER_AGENT", "")[:LONGEST_USER_AGENT]
    # A client writes what it likes: only what can be stored and shown is kept.
    shown = "".join(c if c.isprintable() else " " for c in user_agent)
    known = request.COOKIES.get(settings.KNOWN_COOKIE_NAME, "")
    return ClientInfo(str(ip or ""), shown, known if _KNOWN.fullmatch(known) else "")


def _name(family: str) -> str:
    for variant in _VARIANTS:
        family = family.replace(variant, "")
    return " ".join(_NO_NAME.sub(" ", family).split())[:LONGEST_NAME].strip()
