"""A small HTTP client that keeps cookies by hand, and a starting gun for races.

Python's own cookie jar sends no Secure cookie to http://localhost, which browsers do; and a
client that follows no redirect and repairs nothing lets a test see what the site really said.
"""

import http.client
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

TIMEOUT_SECONDS = 60.0
TOKEN = re.compile(r'<input[^>]* name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass(frozen=True)
class Response:
    url: str
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(self.headers.get_content_charset("utf-8"))

    @property
    def location(self) -> str:
        """Where a redirect leads, as the site wrote it."""
        return self.headers["Location"] or ""

    @property
    def cookies(self) -> dict[str, Morsel[str]]:
        """The cookies that this answer sets, with their attributes."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.get_all("Set-Cookie", []):
            jar.load(line)
        return dict(jar)

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One browser's worth of cookies at ``origin``; no redirect is followed.

    ``connect`` is the address really spoken to, for origins that name no address here.
    """

    def __init__(
        self,
        origin: str,
        *,
        connect: tuple[str, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = origin
        parts = urlsplit(origin)
        self._connect = connect or (parts.hostname or "", parts.port or 80)
        self._headers = {"Host": parts.netloc}
        self._headers |= {name.replace("_", "-"): text for name, text in (headers or {}).items()}
        self.cookies: dict[str, Morsel[str]] = {}

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("GET", path, headers=headers)

    def post(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        csrf: bool | str = True,
        form: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a form as a browser does.

        The CSRF token is read off the page at ``form`` (``path`` where none is named) first;
        ``csrf`` is False to send none, or a token from ``csrf()`` to save the look.
        """
        fields = dict(data or {})
        if csrf:
            token = csrf if isinstance(csrf, str) else self.csrf(form or path)
            fields["csrfmiddlewaretoken"] = token
        return self.request(
            "POST",
            path,
            body=urlencode(fields, doseq=True).encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": self.origin,
                "Referer": urljoin(self.origin, form or path),
                **(headers or {}),
            },
        )

    def csrf(self, path: str) -> str:
        page = self.get(path)
        found = TOKEN.search(page.text)
        assert found, f"{path} answered {page.status} without a form:\n{page.text[:500]}"
        return found[1]

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        sent = {**self._headers, **(headers or {})}
        if self.cookies:
            pairs = (f"{name}={morsel.coded_value}" for name, morsel in self.cookies.items())
            sent.setdefault("Cookie", "; ".join(pairs))
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            response = Response(
                urljoin(self.origin, path), answer.status, answer.headers, answer.read()
            )
        finally:
            connection.close()
        for name, morsel in response.cookies.items():
            # Django deletes a cookie by Max-Age=0; the empty value is deleted with it.
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel
        return response

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._connect, timeout=TIMEOUT_SECONDS)


def together[T](n: int, work: Callable[[int], T]) -> list[T]:
    """``work(0)`` … ``work(n - 1)`` in as many threads, released at the same moment.

    What each returned, in that order; if any raised, the first of their exceptions.
    """
    from django.db import connections

    barrier = threading.Barrier(n)

    def run(i: int) -> T:
        barrier.wait(TIMEOUT_SECONDS)
        try:
            return work(i)
        finally:
            connections.close_all()  # Django's are one a thread, and this thread ends

    with ThreadPoolExecutor(max_workers=n) as pool:
        return [future.result() for future in [pool.submit(run, i) for i in range(n)]]
