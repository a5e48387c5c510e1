"""A small HTTP client with cookies, and a function that runs work concurrently.

Python's own cookie jar sends no Secure cookie to http://localhost, but browsers do. This client
follows no redirect and repairs nothing, so that a test sees exactly what the site has answered.
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
        """The ``Location`` header as the site wrote it, or an empty string."""
        return self.headers["Location"] or ""

    @property
    def cookies(self) -> dict[str, Morsel[str]]:
        """The cookies that this response sets, with their attributes."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.get_all("Set-Cookie", []):
            jar.load(line)
        return dict(jar)

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """The cookies of one browser at ``origin``. Redirects are not followed.

    ``connect`` is the host and port to connect to, for an origin that this machine cannot resolve.
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

        The CSRF token is read from the page at ``form``, by default ``path``. ``csrf`` is False to
        send no token, or a token from ``csrf()`` to save a request.
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
            # Django deletes a cookie by Max-Age=0.
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel
        return response

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._connect, timeout=TIMEOUT_SECONDS)


def together[T](n: int, work: Callable[[int], T]) -> list[T]:
    """Run ``work(0)`` to ``work(n - 1)`` in ``n`` threads that start at the same moment.

    Returns their results in order. If any call raises, the first of the exceptions is raised.
    """
    from django.db import connections

    barrier = threading.Barrier(n)

    def run(i: int) -> T:
        barrier.wait(TIMEOUT_SECONDS)
        try:
            return work(i)
        finally:
            connections.close_all()  # they belong to this thread, which ends

    with ThreadPoolExecutor(max_workers=n) as pool:
        return [future.result() for future in [pool.submit(run, i) for i in range(n)]]
