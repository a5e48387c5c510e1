"""A browser without JavaScript that goes from one site to another, as a sign-in to an app does.

It keeps the cookies of each origin, follows redirects and pages with ``<meta http-equiv=refresh>``,
and sends the forms of pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from tests.support.site import Client, Response

MOST_STEPS = 20


@dataclass
class Form:
    """A form of a page: where it is sent, its fields, and its buttons by their texts."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Page(HTMLParser):
    """Collects the forms of a page and the URL that it leads to by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.leads_to = ""
        self._button: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").upper()))
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.leads_to = given["content"].partition("url=")[2].strip("'\"")
        elif self.forms and tag == "button":
            self._button = given.get("name", ""), given.get("value", "")
        elif self.forms and tag == "input" and given.get("type") not in {"checkbox", "submit"}:
            self.forms[-1].fields[given.get("name", "")] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._button and data.strip():
            self.forms[-1].buttons[data.strip()] = self._button
            self._button = None


class Journey:
    """A browser with a client for each of some origins."""

    def __init__(self, *clients: Client) -> None:
        self._clients = {client.origin: client for client in clients}
        self.urls: list[str] = []

    def without(self, origin: str) -> "Journey":
        """Return the same browser, which cannot reach ``origin``: it raises a ``LookupError``."""
        return Journey(*(client for client in self._clients.values() if client.origin != origin))

    def open(self, url: str) -> Response:
        """Open a page as if its URL was typed, and return the page where this ends."""
        return self._follow("GET", url, None)

    def send(self, page: Response, button: str = "", **fields: str) -> Response:
        """Send the form of ``page`` that has ``button``, or the one that has these ``fields``."""
        forms = _Page(page.text).forms
        found = [
            form
            for form in forms
            if (button in form.buttons if button else fields.keys() <= form.fields.keys())
        ]
        assert found, f"{page.url} has no form with {button or list(fields)}:\n{page.text}"
        form = found[0]
        name, value = form.buttons.get(button, ("", ""))
        sent = form.fields | fields | {name: value}
        sent.pop("", None)
        url = urljoin(page.url, form.action or page.url)
        if form.method == "GET":
            return self.open(f"{url}?{urlencode(sent)}")
        return self._follow("POST", url, sent, page)

    def _follow(
        self, method: str, url: str, sent: Mapping[str, str] | None, page: Response | None = None
    ) -> Response:
        for _step in range(MOST_STEPS):
            self.urls.append(url)
            answer = self._request(method, url, sent, page)
            to = answer.location or _Page(answer.text if _is_html(answer) else "").leads_to
            if not to:
                return answer
            if answer.status not in {307, 308}:
                method, sent = "GET", None
            url = urljoin(url, to)
        raise AssertionError(f"redirected too often: {self.urls}")

    def _request(
        self, method: str, url: str, sent: Mapping[str, str] | None, page: Response | None
    ) -> Response:
        parts = urlsplit(url)
        client = self._clients[f"{parts.scheme}://{parts.netloc}"]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers: dict[str, Any] = {"Accept": "text/html"}
        if page:
            from_ = urlsplit(page.url)
            headers |= {"Origin": f"{from_.scheme}://{from_.netloc}", "Referer": page.url}
        if sent is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = None if sent is None else urlencode(sent).encode()
        return client.request(method, path, body=body, headers=headers)


def _is_html(answer: Response) -> bool:
    return answer.headers.get_content_type() == "text/html"
