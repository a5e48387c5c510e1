"""The client that sent a request: its IP address, its networks and its device."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ua_parser import parse

from accounts.common.client_ip import networks
from accounts.common.client_ip import parse as parse_ip

# A longer User-Agent, or name in one, is cut: the rest says nothing and costs time and storage.
LONGEST_USER_AGENT = 255
LONGEST_NAME = 40

# Words that a browser adds to its name on a phone, inside an app or without a screen.
_VARIANTS = ("Mobile", "iOS", "WebView", "Headless")
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}
_HANDHELDS = ("iPhone", "iPad", "iPod")
_KNOWN = re.compile(r"[\w-]{43}", re.ASCII)
_NO_NAME = re.compile(r"[^\w +-]+")
# A client can send any name, and the owner of an account reads the names of failed sign-ins. Only
# these are shown, so that an attacker cannot put a message there.
_SHOWN = {
    *("Brave", "Chrome", "Chromium", "DuckDuckGo", "Edge", "Firefox", "IE", "Opera", "Safari"),
    *("Samsung Internet", "Vivaldi", "Yandex Browser"),
    *("curl", "Python Requests", "Python-urllib", "Wget"),
    *("Android", "ChromeOS", "Debian", "Fedora", "FreeBSD", "iOS", *_HANDHELDS, "Linux", "macOS"),
    *("OpenBSD", "Ubuntu", "Windows"),
}


@dataclass(frozen=True)
class Device:
    """A browser family and an operating system; an empty string where unknown.

    A new version of either is the same device. The text form contains only well-known names.
    """

    browser: str = ""
    system: str = ""

    def __str__(self) -> str:
        # An API client may not be a browser.
        browser = self.browser if self.browser in _SHOWN else _("Unknown program")
        if self.system not in _SHOWN:
            return browser
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": self.system}


@dataclass(frozen=True)
class ClientInfo:
    """The IP address, the User-Agent and the known-browser cookie of a client.

    ``ip`` is empty if unknown. ``known`` is the secret in the cookie by which
    ``sessions.known_browsers`` recognizes a browser; it is empty without that cookie.
    """

    ip: str
    user_agent: str
    known: str = field(default="", repr=False)

    @cached_property
    def device(self) -> Device:
        """The browser and system that the User-Agent names, parsed on first use."""
        parsed = parse(self.user_agent)
        browser = parsed.user_agent.family if parsed.user_agent else ""
        system = parsed.os.family if parsed.os else ""
        handheld = parsed.device.family if parsed.device else ""
        if handheld in _HANDHELDS:
            system = handheld
        return Device(_name(browser), _name(_SYSTEMS.get(system, system)))

    @cached_property
    def networks(self) -> tuple[tuple[str, int], ...]:
        """The networks around the IP address, narrowest first, each with its weight.

        See :func:`accounts.common.client_ip.networks`.
        """
        ip = parse_ip(self.ip)
        return networks(ip) if ip else (("", 1),)

    @property
    def network(self) -> str:
        """The narrowest network around the IP address: an IPv4 address or an IPv6 /64."""
        return self.networks[0][0]

    @property
    def wide_network(self) -> str:
        """The widest network that one subscriber line gets: an IPv4 /24 or an IPv6 /48."""
        return self.networks[-1][0]


# For acts without a request, such as management commands.
NO_CLIENT = ClientInfo("", "")


def client_of(request: HttpRequest) -> ClientInfo:
    """Return the client that sent ``request``.

    ``ClientMiddleware`` has replaced ``REMOTE_ADDR`` by the client's own IP address.
    """
    ip = parse_ip(request.META["REMOTE_ADDR"])
    user_agent = request.META.get("HTTP_USER_AGENT", "")[:LONGEST_USER_AGENT]
    # The client chooses this text: replace what cannot be stored or shown.
    printable = "".join(c if c.isprintable() else " " for c in user_agent)
    known = request.COOKIES.get(settings.KNOWN_COOKIE_NAME, "")
    return ClientInfo(str(ip or ""), printable, known if _KNOWN.fullmatch(known) else "")


def _name(family: str) -> str:
    for variant in _VARIANTS:
        family = family.replace(variant, "")
    return " ".join(_NO_NAME.sub(" ", family).split())[:LONGEST_NAME].strip()
