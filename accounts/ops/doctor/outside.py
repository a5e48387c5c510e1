"""The doctor's checks that request pages of the site over the network, as browsers do."""

import http.client
import json
import re
import socket
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

from accounts.common.config import Config
from accounts.ops.doctor import inside
from accounts.ops.doctor.findings import Finding, found

SECONDS = 10.0
PAUSE = 1.0
LOGIN = "/accounts/login/"
EVIL = "doctor.invalid"
# The default port: with TLS, and without.
PORTS = {True: 443, False: 80}
# TEST-NET-1 (RFC 5737), whose addresses nobody has.
FORGED, FORGED_TOO = "192.0.2.77", "192.0.2.78"
SOON_DAYS, HSTS_SECONDS = 14, 180 * 24 * 3600
LEAST_DESCRIPTORS = 4096
# With these problems, every page redirects to itself.
CIRCLES = {"proxy_untrusted", "scheme"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
    "Cache-Control": "no-store",
}

# Headers that are different in each response, unless a cache responds.
UNIQUE = ("X-Request-ID", "Set-Cookie")


@dataclass(frozen=True)
class Reach:
    """How the doctor reaches the site.

    ``host``, ``port``: where it connects; ``plain_port``: for plain HTTP, or 0 to leave that out.
    ``authority``: the file of a certificate authority to trust, besides the system's.
    """

    config: Config
    host: str
    port: int
    plain_port: int
    authority: str = ""

    @property
    def is_proxied(self) -> bool:
        """Whether a proxy handles TLS."""
        return self.config.https and not self.config.tls_cert_file

    def open(self, context: ssl.SSLContext | None = None, port: int = 0) -> socket.socket:
        """Connect, with TLS if ``ORIGIN`` has it and no other ``port`` is given.

        Raises:
            OSError: nothing answers, or TLS fails.
        """
        plain = socket.create_connection((self.host, port or self.port), SECONDS)
        if port or not self.config.https:
            return plain
        context = context or ssl.create_default_context(cafile=self.authority or None)
        return context.wrap_socket(plain, server_hostname=self.config.hostname.strip("[]"))


@dataclass(frozen=True)
class Response:
    """An answer of the site."""

    status: int
    headers: http.client.HTTPMessage
    text: str


def check(reach: Reach) -> Iterator[Finding]:
    """Run all checks except those that make no sense after an earlier finding."""
    try:
        if reach.config.https:
            yield from _tls(reach)
        seen = list(_probe(reach))
        yield from seen
        if not any(finding.code in CIRCLES for finding in seen):
            page = _ask(reach, LOGIN, {"Accept-Encoding": "gzip, br"})
            yield from _page(reach, page)
            yield from _static(reach, page)
            again = _ask(reach, LOGIN, {"Accept-Encoding": "gzip, br"})
            if all(page.headers.get(name) == again.headers.get(name) for name in UNIQUE):
                yield found("cached")
    except ssl.SSLCertVerificationError as error:
        yield found("tls_untrusted", error.verify_message)
    except (OSError, http.client.HTTPException) as error:
        usual = PORTS[reach.config.https]
        if usual != reach.port and _serves(replace(reach, port=usual)):
            yield found("origin_port", reach.config.origin, usual)
        else:
            yield found("unreachable", reach.config.origin, str(error) or type(error).__name__)
    if reach.config.https and reach.plain_port:
        yield from _redirect(reach)


def _serves(reach: Reach) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return _ask(reach, LOGIN).status == 200
    return False


def _ask(
    reach: Reach,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes = b"",
    port: int = 0,
    host: str = "",
) -> Response:
    """Send a request and return the response. A ``body`` is sent in two parts, with a pause."""
    connection = http.client.HTTPConnection(reach.host, timeout=SECONDS)
    connection.sock = reach.open(port=port)
    sent = {"Host": host or reach.config.host, "Connection": "close", **(headers or {})}
    try:
        if body:
            sent["Content-Length"] = str(len(body))
            connection.request("POST", path, _in_two_parts(body), sent)
        else:
            connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read().decode(errors="replace"))
    finally:
        connection.close()


def _in_two_parts(body: bytes) -> Iterator[bytes]:
    yield body[:1]
    time.sleep(PAUSE)
    yield body[1:]


def _tls(reach: Reach) -> Iterator[Finding]:
    with reach.open() as connection:
        certificate = cast(ssl.SSLSocket, connection).getpeercert() or {}
    left = ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()
    if left < SOON_DAYS * 24 * 3600:
        yield found("tls_expires", int(left // (24 * 3600)))
    if _accepts_old_tls(reach):
        yield found("tls_old")


def _accepts_old_tls(reach: Reach) -> bool:
    context = ssl.create_default_context(cafile=reach.authority or None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    # By default, OpenSSL refuses the digests of old TLS versions.
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        reach.open(context).close()
    except OSError:
        return False
    return True


def _page(reach: Reach, page: Response) -> Iterator[Finding]:
    changed = [name for name, part in HEADERS.items() if part not in page.headers.get(name, "")]
    if changed:
        yield found("headers", ", ".join(changed))
    if (server := page.headers.get("Server", "")) != "web":
        yield found("server_named", server or "none")
    if page.headers.get("Content-Encoding"):
        yield found("compressed")
    if not reach.config.https:
        return
    age = re.search(r"max-age=(\d+)", page.headers.get("Strict-Transport-Security", ""))
    if not age or int(age[1]) < HSTS_SECONDS:
        yield found("hsts")
    for cookie in page.headers.get_all("Set-Cookie", []):
        yield from _cookie(cookie)


def _cookie(cookie: str) -> Iterator[Finding]:
    name, *attributes = (part.strip() for part in cookie.split(";"))
    given = {attribute.lower() for attribute in attributes}
    wanted = {"secure": "Secure", "httponly": "HttpOnly", "path=/": "Path=/"}
    missing = [shown for word, shown in wanted.items() if word not in given]
    if not any(word.startswith("samesite=") for word in given - {"samesite=none"}):
        missing.append("SameSite")
    if not name.startswith("__Host-"):
        missing.append("__Host-")
    if missing:
        yield found("cookies", name.partition("=")[0], ", ".join(missing))


def _static(reach: Reach, page: Response) -> Iterator[Finding]:
    named = re.search(r'"(/static/[^"]+\.css)"', page.text)
    if named and (status := _ask(reach, named[1]).status) != 200:
        yield found("static_broken", named[1], status)


def _redirect(reach: Reach) -> Iterator[Finding]:
    origin, path = reach.config.origin, "/accounts/login/?next=/"
    try:
        answer = _ask(reach, path, port=reach.plain_port, host=reach.config.hostname)
        foreign = _ask(reach, path, port=reach.plain_port, host=EVIL)
    except (OSError, http.client.HTTPException) as error:
        yield found("redirect_missing", origin, type(error).__name__)
        return
    target = answer.headers.get("Location", "")
    if answer.status not in {301, 302, 307, 308} or not target.startswith(f"{origin}/"):
        yield found("redirect_missing", origin, f"status {answer.status}")
    if urlsplit(foreign.headers.get("Location", "")).hostname == EVIL:
        yield found("redirect_host")


def _probe(reach: Reach) -> Iterator[Finding]:
    headers = {"Authorization": inside.token(), "X-Forwarded-For": FORGED, "X_Doctor_Probe": "1"}
    answer = _ask(reach, inside.PATH, {**headers, "X_Forwarded_For": FORGED_TOO}, body=b"{}")
    if answer.status != 200:
        yield found("probe_refused", reach.config.origin, answer.status)
        return
    facts = json.loads(answer.text)
    if facts["descriptors"] < LEAST_DESCRIPTORS:
        yield found("descriptors", facts["descriptors"])
    if reach.config.https:
        yield from _client(reach, facts)
    if reach.is_proxied and facts["body_seconds"] > PAUSE / 2:
        yield found("bodies_unbuffered")


def _client(reach: Reach, facts: dict[str, Any]) -> Iterator[Finding]:
    """Check which IP address and scheme the site saw in a request with forged headers."""
    if facts["ip"] in {FORGED, FORGED_TOO} or (reach.is_proxied and facts["underscore"]):
        yield found("client_forged")
    elif reach.is_proxied and not _is_one_of(facts["ip"], facts["forwarded"]):
        # The site also ignores the scheme that this proxy sends.
        yield found("proxy_untrusted", facts["ip"])
        return
    if facts["scheme"] != "https":
        yield found("scheme")


def _is_one_of(ip: str, forwarded: str) -> bool:
    """Return whether the site has read ``ip`` from the header of a proxy."""
    return bool(ip) and str(ip_address(ip)) in {entry.strip() for entry in forwarded.split(",")}
