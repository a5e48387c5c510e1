"""The client that sent a request: its IP address, networks, device and place.

The setting ``GEOIP_FILE`` names the file with the places of IP addresses. The file is in MaxMind
format and is memory-mapped. If the setting is empty, every place is unknown.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.localization import spoken

if TYPE_CHECKING:
    from django.http import HttpRequest

# The IPv6 addresses that stand for IPv4 addresses (RFC 6052).
NAT64 = IPv6Network("64:ff9b::/96")
# The assigned unicast IPv6 addresses. Other ranges embed IPv4 addresses in obsolete forms (RFC
# 4291).
GIVEN_OUT = IPv6Network("2000::/3")


def is_public(address: str) -> bool:
    """Return whether the IP address ``address`` is on the public internet.

    Some IPv6 addresses contain an IPv4 address. Such an IPv6 address is public if the IPv4 address
    in it is public.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = IPv4Address(ip.packed[-4:])
        if inner:
            return is_public(str(inner))
        if ip not in GIVEN_OUT:
            return False
    return ip.is_global and not ip.is_multicast


type IPAddress = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

# The length of the longest IP address in text form: an IPv6 address that ends in an IPv4 address.
LONGEST = 45
# Some load balancers append the port: ``203.0.113.9:4711``, ``[2001:db8::9]:4711``.
WITH_PORT = re.compile(r"([0-9.]+|\[[^\]]+\]):[0-9]{1,5}")
# By IP version: the prefix length and the weight of each network around an address.
WEIGHTS = {4: ((32, 1), (24, 4)), 6: ((64, 1), (56, 2), (48, 4))}


def parse_ip(text: str) -> IPAddress | None:
    """Return ``text`` as an IP address, or None if it is not an IP address.

    An IPv4-mapped IPv6 address is returned as an IPv4 address. A zone (``fe80::1%eth0``) is cut
    off, because it is free text of any length.
    """
    written = text.strip().strip("[]").partition("%")[0]
    return _read(written) if len(written) <= LONGEST else None


@lru_cache(1024)
def _read(text: str) -> IPAddress | None:
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def trusts(peer: IPAddress, proxies: Sequence[Network]) -> bool:
    """Return whether the IP address ``peer`` is in one of the networks ``proxies``."""
    return any(peer in network for network in proxies)


def client_ip(peer: IPAddress, forwarded: str, proxies: Sequence[Network]) -> IPAddress:
    """Return the IP address of the client that sent a request through trusted proxies.

    Each proxy appends the IP address of its own peer to ``X-Forwarded-For``. The entries are
    therefore read from right to left, up to the first IP address that is not a trusted proxy. The
    entries further left are ignored, because a client can forge them. If an entry is not an IP
    address, the result is the last IP address that was read. If ``peer`` is not a trusted proxy, it
    is the client.

    Args:
        peer: the IP address that has connected to this site.
        forwarded: the value of the header ``X-Forwarded-For``, or empty.
        proxies: the networks of the trusted proxies.
    """
    nearest = peer
    for entry in reversed(forwarded.split(",") if forwarded else []):
        if not trusts(nearest, proxies):
            break
        with_port = WITH_PORT.fullmatch(entry.strip())
        further = parse_ip(with_port[1] if with_port else entry)
        if further is None:
            break
        nearest = further
    return nearest


def behind_proxies(meta: Mapping[str, Any], proxies: tuple[Network, ...]) -> tuple[str, str]:
    """Return the IP address of a client, and the scheme with which it has connected.

    If the peer is a trusted proxy, both are read from the headers that the proxy has set. Headers
    of other peers are ignored.

    Args:
        meta: a WSGI environment, or Django's ``request.META``.
        proxies: the networks of the trusted proxies.
    """
    address, scheme = meta.get("REMOTE_ADDR", ""), meta.get("wsgi.url_scheme", "")
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    # A client can send a long header, so only the results for short ones are cached.
    find = _client_of_proxy if len(forwarded) <= LONGEST else _client_of_proxy.__wrapped__
    ip = find(address, forwarded, proxies)
    if ip is None:
        return address, scheme
    return ip, "https" if meta.get("HTTP_X_FORWARDED_PROTO") == "https" else scheme


@lru_cache(1024)
def _client_of_proxy(address: str, forwarded: str, proxies: tuple[Network, ...]) -> str | None:
    """Return the IP address of the client; None if ``address`` is not a trusted proxy."""
    peer = parse_ip(address)
    if peer is None or not trusts(peer, proxies):
        return None
    return str(client_ip(peer, forwarded, proxies))


@lru_cache(4096)
def networks(ip: IPAddress) -> tuple[tuple[str, int], ...]:
    """Return the networks that contain ``ip``, narrowest first, each with its weight.

    The rate limits of a network are ``weight`` times as large as the rate limits of the narrowest
    network. The sizes are those that internet providers assign to a customer: one IPv4 address or
    an IPv6 /64, /56 or /48 (RFC 6177), and an IPv4 /24 to companies.
    """
    around = ((ip_network((ip, n), strict=False), weight) for n, weight in WEIGHTS[ip.version])
    # A single IPv4 address is written without its prefix length.
    return tuple((str(network).removesuffix("/32"), weight) for network, weight in around)


log = logging.getLogger(__name__)

# IP addresses that are looked up at the start, so that a truncated location file is noticed.
PROBES = ("192.0.2.1", "8.8.8.8", "223.255.255.254")


def location_file(text: str) -> str:
    """Return the absolute path of the location file that ``text`` names.

    Raises:
        ValueError: the file is missing, unreadable or not in MaxMind format.
    """
    import maxminddb  # noqa: PLC0415 most sites have no such file

    path = Path(text).absolute()
    try:
        with maxminddb.open_database(path) as reader:
            for ip in PROBES:
                reader.get(ip)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"can't be read: {path}: {reason}") from None
    except (maxminddb.InvalidDatabaseError, ValueError):
        raise ValueError(f"is not a complete file in MaxMind format: {path}") from None
    return str(path)


def name(path: str, ip: str) -> str:
    """Return the city of the IP address ``ip``, or else its country, in the language of the reader.

    ``path`` is the location file. Returns an empty string if the place is unknown.
    """
    if not path or not ip:
        return ""
    try:
        found = _reader(path).get(ip)
    # RuntimeError includes maxminddb's InvalidDatabaseError.
    except (RuntimeError, ValueError) as error:
        log.error("GEOIP_FILE can't be searched: %s", error)  # noqa: TRY400 no traceback: the file is at fault
        return ""
    if not isinstance(found, dict):
        return ""
    return _place_name(found.get("city")) or _place_name(found.get("country"))


def is_of_dbip(path: str) -> bool:
    """Return whether the location file ``path`` is from DB-IP, whose licence requires a credit."""
    return bool(path) and "dbip" in _reader(path).metadata().database_type.lower()


@cache
def _reader(path: str) -> Any:
    import maxminddb  # noqa: PLC0415 most sites have no such file

    return maxminddb.open_database(path)


def _place_name(part: Any) -> str:
    names = part.get("names") if isinstance(part, dict) else None
    if not isinstance(names, dict):
        return ""
    language = spoken()
    found = names.get(language) or names.get(language.partition("-")[0]) or names.get("en")
    return found if isinstance(found, str) else ""


# Text beyond this length has no use and takes time and storage, so it is cut off.
LONGEST_USER_AGENT = 255
LONGEST_NAME = 40

# Words that browsers add to their names on a phone, inside an app or without a screen.
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
    """A browser and an operating system, each of them empty if unknown.

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
        from ua_parser import parse  # noqa: PLC0415 the settings need only the IP addresses

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


# The client of code that runs without a request, such as a management command.
NO_CLIENT = ClientInfo("", "")


def client_of(request: "HttpRequest") -> ClientInfo:
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


def header_of(request: "HttpRequest") -> tuple[str, str]:
    """Return the scheme, in lower case, and the value of the ``Authorization`` header.

    If the header is absent, the scheme and the value are empty strings.
    """
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower(), value.strip()


def _name(family: str) -> str:
    for variant in _VARIANTS:
        family = family.replace(variant, "")
    return " ".join(_NO_NAME.sub(" ", family).split())[:LONGEST_NAME].strip()
