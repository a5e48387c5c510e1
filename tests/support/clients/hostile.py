"""Send hostile requests to an OpenID Provider, and say in a word how it takes each.

The verdicts: ``accepted``; ``asks`` (a page for the person comes first); ``to client: <error>``
(the browser is redirected to the client with an error); ``page <status>`` (a page of the provider,
and no redirect); ``<status> <error>`` (the answer to a program).
"""

import base64
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

from tests.support.client import Client, Response
from tests.support.clients.hostile_authorize import REDIRECT, RIGHT, VERIFIER
from tests.support.clients.hostile_calls import CODE, REFRESH

FORM = "application/x-www-form-urlencoded"
GOODBYE = "https://client.example.org/bye"
OTHER = "https://other.example.org/cb"
LOOPBACK = "http://127.0.0.1/cb"
# What a case says besides the parameters of the request.
KNOWN = ("auth", "in_form", "method", "path", "query", "raw", "scheme", "signed_in", "type")

TOKENS = ("access", "refresh", "id_token")


def challenge() -> str:
    digest = sha256(VERIFIER.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Provider:
    """An OpenID Provider with three apps: ``web``, ``other`` (confidential) and ``public``.

    ``browser`` is signed in there, and its person has agreed to all that the apps ask for.
    """

    def __init__(self, browser: Client, apps: Mapping[str, tuple[str, str]]) -> None:
        self.browser, self.apps = browser, apps
        self.origin = browser.origin
        self.program = Client(self.origin, connect=browser._connect)
        self.metadata = self.program.get("/.well-known/openid-configuration").json()

    def path(self, name: str) -> str:
        """Return the path of an endpoint; ``name`` is the start of its name in the metadata."""
        return urlsplit(self.metadata[f"{name}_endpoint"]).path

    def code(self, app: str = "web", **changes: str) -> str:
        """Return a new authorization code of ``app``."""
        redirect = {"web": REDIRECT, "other": OTHER}[app]
        asked = RIGHT | {"client_id": self.apps[app][0], "redirect_uri": redirect} | changes
        asked["code_challenge"] = challenge()
        if "openid" not in asked["scope"]:
            del asked["nonce"]
        answer = self.browser.get(f"{self.path('authorization')}?{urlencode(asked)}")
        assert "code=" in answer.location, (answer.status, answer.location, answer.text)
        return parse_qs(urlsplit(answer.location).query)["code"][0]

    def tokens(
        self, app: str = "web", scope: str = "openid email offline_access"
    ) -> dict[str, Any]:
        sent = CODE | {"code": self.code(app, scope=scope)}
        sent["redirect_uri"] = {"web": REDIRECT, "other": OTHER}[app]
        return self.call("token", sent, app)

    def call(self, endpoint: str, sent: Mapping[str, Any], app: str = "web") -> Any:
        """Call an endpoint as a right client does, and return the JSON of the answer."""
        fields = {name: text for name, text in sent.items() if name != "auth" and text is not None}
        headers = {"Authorization": basic(*self.apps[app]), "Content-Type": FORM}
        body = urlencode(fields).encode()
        answer = self.program.request("POST", self.path(endpoint), body=body, headers=headers)
        assert answer.status in {200, 201}, (endpoint, answer.status, answer.text)
        return answer.json() if answer.body else None


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote(client_id)}:{quote(secret)}".encode()).decode()


class Values(dict[str, str]):
    """The values that a case names; each is made when the case needs it."""

    def __init__(self, provider: Provider) -> None:
        self._at = provider
        (web, secret), (other, _), (public, _) = (
            provider.apps[name] for name in ("web", "other", "public")
        )
        super().__init__(
            web=web,
            web_upper=web.upper(),
            other=other,
            public=public,
            secret=secret,
            origin=provider.origin,
            challenge=challenge(),
            goodbye=GOODBYE,
            jwks=urlsplit(provider.metadata["jwks_uri"]).path,
        )

    def __missing__(self, name: str) -> str:
        if name in TOKENS:
            tokens = self._at.tokens()
            self |= {key: tokens[f"{key.removesuffix('_token')}_token"] for key in TOKENS}
        else:
            self[name] = getattr(self, f"_{name}")()
        return self[name]

    def _code(self) -> str:
        return self._at.code()

    def _foreign_code(self) -> str:
        return self._at.code("other")

    def _used(self) -> str:
        code = self._at.code()
        self._at.call("token", CODE | {"code": code})
        return code

    def _foreign_refresh(self) -> str:
        return str(self._at.tokens("other")["refresh_token"])

    def _old_refresh(self) -> str:
        first = token = self["refresh"]
        for _time in range(2):
            token = self._at.call("token", REFRESH | {"refresh_token": token})["refresh_token"]
        return first

    def _access_without_openid(self) -> str:
        return str(self._at.tokens(scope="email")["access_token"])

    def _revoked(self) -> str:
        self._at.call("revocation", {"token": self["access"]})
        self._at.call("revocation", {"token": self["refresh"]})
        return self["access"]

    def _pushed(self, app: str = "web") -> str:
        redirect = {"web": REDIRECT, "other": OTHER}[app]
        named = {"client_id": self._at.apps[app][0], "redirect_uri": redirect}
        asked = RIGHT | named | {"code_challenge": challenge()}
        answer = self._at.call("pushed_authorization_request", asked, app)
        return str(answer["request_uri"])

    def _foreign_pushed(self) -> str:
        return self._pushed("other")

    def _used_pushed(self) -> str:
        asked = {"client_id": self["web"], "request_uri": self._pushed()}
        self._at.browser.get(f"{self._at.path('authorization')}?{urlencode(asked)}")
        return asked["request_uri"]


# How a client authenticates: from its values, the Authorization header and fields of the form.
type Auth = tuple[str, dict[str, Any]]
AUTH: dict[str, Callable[[Values], Auth]] = {
    "basic": lambda v: (basic(v["web"], v["secret"]), {}),
    "none": lambda v: ("", {"client_id": v["web"]}),
    "wrong": lambda v: (basic(v["web"], v["secret"][:-1] + "x"), {}),
    "wrong post": lambda v: ("", {"client_id": v["web"], "client_secret": "wrong"}),
    "another's secret": lambda v: (basic(v["other"], v["secret"]), {}),
    "another client": lambda v: (basic(*v._at.apps["other"]), {}),
    "both": lambda v: (
        basic(v["web"], v["secret"]),
        {"client_id": v["web"], "client_secret": v["secret"]},
    ),
    "mixed": lambda v: (basic(v["web"], v["secret"]), {"client_id": v["other"]}),
    "not base64": lambda _v: ("Basic %%%", {}),
    "no colon": lambda v: ("Basic " + base64.b64encode(v["web"].encode()).decode(), {}),
    "bearer": lambda v: (f"Bearer {v['secret']}", {"client_id": v["web"]}),
    "in the query": lambda v: ("", {"query": f"client_id={v['web']}&client_secret={v['secret']}"}),
    "unknown": lambda v: (basic("nobody", v["secret"]), {}),
    "empty": lambda v: ("", {"client_id": v["web"], "client_secret": ""}),
    "assertion": lambda v: (
        "",
        {
            "client_id": v["web"],
            "client_assertion": "x.y.z",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
    ),
    "line feed": lambda v: (basic(v["web"], v["secret"] + "\n"), {}),
    "public": lambda v: ("", {"client_id": v["public"]}),
    "public with a secret": lambda v: (basic(v["public"], v["secret"]), {}),
    "lower case": lambda v: (basic(v["web"], v["secret"]).replace("Basic", "basic"), {}),
    "twice": lambda v: ("", {"client_id": [v["web"], v["web"]], "client_secret": v["secret"]}),
}


def _filled(case: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return ``case`` with values in place of their names."""

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(item) for item in value]
        return value.format_map(values) if isinstance(value, str) else value

    return {
        name: fill(value) for name, value in case.items() if value is not None or name == "type"
    }


def _sent(case: Mapping[str, Any]) -> str:
    fields = {name: value for name, value in case.items() if name not in KNOWN}
    return urlencode(fields, doseq=True) + case.get("raw", "")


def authorize(at: Provider, case: Mapping[str, Any]) -> str:
    """Open the authorization endpoint in the signed-in browser, and return the verdict."""
    return _opened(at, "authorization", _filled({**RIGHT, **case}, Values(at)))


def logout(at: Provider, case: Mapping[str, Any]) -> str:
    """Open the logout endpoint in the signed-in browser, and return the verdict."""
    before = dict(at.browser.cookies)
    verdict = _opened(at, "end_session", _filled(case, Values(at)))
    at.browser.cookies = before
    return verdict


def _opened(at: Provider, endpoint: str, case: Mapping[str, Any]) -> str:
    browser = at.browser if case.get("signed_in", True) else at.program
    method, path, query = case.get("method", "GET"), at.path(endpoint), _sent(case)
    if method == "POST":
        kind = case.get("type", FORM)
        text = query if kind == FORM else json.dumps(dict(case))
        headers = {"Content-Type": kind}
        answer = browser.request(method, path, body=text.encode(), headers=headers)
    else:
        answer = browser.request(method, f"{path}?{query}")
    at.program.cookies.clear()
    return _page_verdict(at, answer)


def _page_verdict(at: Provider, answer: Response) -> str:
    to = urlsplit(urljoin(answer.url, answer.location))
    given = {**parse_qs(to.query), **parse_qs(to.fragment)}
    if answer.status >= 500:
        return f"ERROR {answer.status}"
    if not answer.location:
        return "asks" if answer.status == 200 else f"page {answer.status}"
    if f"{to.scheme}://{to.netloc}" == at.origin:
        return "asks"
    assert to.netloc in {"client.example.org", "other.example.org"}, answer.location
    return "to client: " + given["error"][0] if "error" in given else "accepted"


def call(at: Provider, endpoint: str, case: Mapping[str, Any]) -> str:
    """Call an endpoint for programs, and return the verdict."""
    values = Values(at)
    filled = _filled(case, values)
    headers: dict[str, str] = {}
    if how := filled.get("auth"):
        authorization, fields = AUTH[how](values)
        filled |= fields
        headers = {"Authorization": authorization} if authorization else {}
    elif not filled.get("in_form") and "token" in filled:
        headers["Authorization"] = f"{filled.get('scheme', 'Bearer')} {filled.pop('token')}"
    if filled.get("type", FORM):
        headers["Content-Type"] = filled.get("type", FORM)
    path = filled.get("path") or at.path(endpoint)
    if query := filled.get("query"):
        path += f"?{query}"
    method = filled.get("method", "POST")
    body = None if method in {"GET", "HEAD"} else _sent(filled).encode()
    answer = at.program.request(method, path, body=body, headers=headers)
    at.program.cookies.clear()
    return _program_verdict(answer)


def _program_verdict(answer: Response) -> str:
    if answer.status >= 500:
        return f"ERROR {answer.status}"
    try:
        said = answer.json() if answer.body else {}
    except ValueError:
        said = {}
    if answer.status < 400:
        return "not active" if said.get("active") is False else "accepted"
    error = said.get("error", "") if isinstance(said, dict) else ""
    return f"{answer.status} {error}".strip()
