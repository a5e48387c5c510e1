"""Send hostile requests to an OpenID Provider, and say in a word how it takes each.

The verdicts: ``accepted``; ``asks`` (a page for the person comes first); ``to client: <error>``
(the browser is redirected to the client with an error); ``page <status>`` (a page of the provider,
and no redirect); ``<status> <error>`` (the answer to a program).
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

from tests.support.authorize import CHALLENGE, VERIFIER
from tests.support.site import Client, Response

FORM = "application/x-www-form-urlencoded"
GOODBYE = "https://client.example.org/bye"
OTHER = "https://other.example.org/cb"
LOOPBACK = "http://127.0.0.1/cb"
# What a case says besides the parameters of the request.
KNOWN = ("auth", "in_form", "method", "query", "raw", "scheme", "signed_in", "type")

TOKENS = ("access", "refresh", "id_token")


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

    def request(self, app: str = "web") -> dict[str, Any]:
        """Return the parameters of a right authorization request of ``app``."""
        return RIGHT | {"client_id": self.apps[app][0], "redirect_uri": REDIRECT_OF[app]}

    def code(self, app: str = "web", **changes: str) -> str:
        """Return a new authorization code of ``app``."""
        asked = self.request(app) | changes
        if "openid" not in asked["scope"]:
            del asked["nonce"]
        answer = self.browser.get(f"{self.path('authorization')}?{urlencode(asked)}")
        assert "code=" in answer.location, (answer.status, answer.location, answer.text)
        return parse_qs(urlsplit(answer.location).query)["code"][0]

    def tokens(
        self, app: str = "web", scope: str = "openid email offline_access"
    ) -> dict[str, Any]:
        sent = {"code": self.code(app, scope=scope), "redirect_uri": REDIRECT_OF[app]}
        return self.call("token", CODE | sent, app)

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
            goodbye=GOODBYE,
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
        answer = self._at.call("pushed_authorization_request", self._at.request(app), app)
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
    "another's secret": lambda v: (basic(v["other"], v["secret"]), {}),
    "another client": lambda v: (basic(*v._at.apps["other"]), {}),
    "both": lambda v: (
        basic(v["web"], v["secret"]),
        {"client_id": v["web"], "client_secret": v["secret"]},
    ),
    "mixed": lambda v: (basic(v["web"], v["secret"]), {"client_id": v["other"]}),
    "not base64": lambda _v: ("Basic %%%", {}),
    "bearer": lambda v: (f"Bearer {v['secret']}", {"client_id": v["web"]}),
    "in the query": lambda v: ("", {"query": f"client_id={v['web']}&client_secret={v['secret']}"}),
    "unknown": lambda v: (basic("nobody", v["secret"]), {}),
    "empty": lambda v: ("", {"client_id": v["web"], "client_secret": ""}),
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
    path = at.path(endpoint)
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


HOST = "client.example.org"
REDIRECT = f"https://{HOST}/cb"
REDIRECT_OF = {"web": REDIRECT, "other": OTHER, "public": LOOPBACK}
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL21hbGxvcnkuZXhhbXBsZS8ifQ."

RIGHT: dict[str, Any] = {
    "response_type": "code",
    "client_id": "{web}",
    "redirect_uri": REDIRECT,
    "scope": "openid email",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}

# In place of the registered redirect URI.
REDIRECTS = {
    "another host": "https://mallory.example/cb",
    "a host in upper case": f"https://{HOST.upper()}/cb",
    "a final slash": f"{REDIRECT}/",
    "a path with ..": f"https://{HOST}/x/../cb",
    "a path with %2e%2e": f"{REDIRECT}/%2e%2e/other",
    "an extra query": f"{REDIRECT}?x=1",
    "a fragment": f"{REDIRECT}#x",
    "the host as a username": f"https://{HOST}@mallory.example/cb",
    "the host as a prefix": f"https://{HOST}.mallory.example/cb",
    "a backslash": f"https://mallory.example\\@{HOST}/cb",
    "javascript": f"javascript://{HOST}/%0aalert(1)",
    "a line feed after": f"{REDIRECT}\n",
    "a NUL after": f"{REDIRECT}\0",
    "another app's": "https://other.example.org/cb",
    "a loopback address": "http://127.0.0.1/cb",
    "text": "nonsense",
    "9,000 characters": f"{REDIRECT}?{'x' * 9000}",
}

# By parameter: the values in its place.
VALUES: dict[str, dict[str, Any]] = {
    "client_id": {
        "missing": None,
        "empty": "",
        "unknown": "nobody",
        "twice": ["{web}", "{web}"],
        "two": ["{web}", "{other}"],
        "another app's": "{other}",
        "in upper case": "{web_upper}",
        "with a NUL": "{web}\0",
        "of 5,000 characters": "x" * 5000,
    },
    "redirect_uri": {
        "missing": None,
        "empty": "",
        "twice": [REDIRECT, REDIRECT],
        "two": [REDIRECT, "https://mallory.example/cb"],
    },
    "response_type": {
        "missing": None,
        "empty": "",
        "twice": ["code", "code"],
        **{
            text: text
            for text in (
                *("token", "id_token", "id_token token", "code token", "code id_token"),
                *("code id_token token", "none", "code code", "CODE", "code "),
            )
        },
    },
    "response_mode": {
        text: text for text in ("query", "fragment", "form_post", "jwt", "web_message", "nonsense")
    },
    "scope": {
        "missing": None,
        "empty": "",
        "without openid": "email",
        "not of this app": "openid phone",
        "of the API, not of this app": "openid profile:write",
        "with a quote": 'openid "',
        "twice": ["openid", "openid"],
    },
    "state": {
        "missing": None,
        "twice": ["a", "b"],
        "of 10,000 characters": "x" * 10_000,
        "with a line break": "a\r\nSet-Cookie: a=b",
    },
    "nonce": {"missing": None, "twice": ["a", "b"], "with a NUL": "a\0b"},
    "code_challenge": {
        "missing": None,
        "empty": "",
        "twice": [CHALLENGE, CHALLENGE],
        "of 44 characters": "x" * 44,
        "with + and /": "+/" + "x" * 41,
    },
    "code_challenge_method": {
        "missing": None,
        "empty": "",
        "plain": "plain",
        "twice": ["S256", "S256"],
    },
    "prompt": {
        text: text
        for text in (
            *("none", "login", "consent", "select_account", "login consent"),
            *("none login", "login none", "login login", "NONE", "nonsense"),
        )
    }
    | {"twice": ["none", "login"]},
    "max_age": {
        text: text for text in ("0", "-1", "x", "1e3", "1.5", " 60", "+60", "6_0", "٣٠", "9" * 30)
    }
    | {"empty": "", "twice": ["60", "60"]},
    "claims": {"not JSON": "{{", "a list": "[]", "of an ID token": '{{"id_token":{{"sub":null}}}}'},
    "id_token_hint": {"garbage": "x.y.z", "unsigned": UNSIGNED},
    "request": {"garbage": "x.y.z", "unsigned": UNSIGNED},
    "request_uri": {
        "of another host": "https://mallory.example/request",
        "never pushed": "urn:ietf:params:oauth:request_uri:nonsense",
        "pushed by another app": "{foreign_pushed}",
        "used before": "{used_pushed}",
        "twice": ["{pushed}", "{pushed}"],
    },
    "resource": {
        "of a stranger": "https://mallory.example/",
        "with a fragment": "{origin}#x",
        "two": ["{origin}", "https://mallory.example/"],
    },
    "audience": {"of a stranger": "https://mallory.example/"},
    "dpop_jkt": {"garbage": "x"},
    "client_secret": {"right, in the query": "{secret}"},
}


def cases() -> dict[str, dict[str, Any]]:
    """Return, by their names, the changes that make a right request a hostile one."""
    found: dict[str, dict[str, Any]] = {"right": {}}
    found |= {f"redirect_uri: {name}": {"redirect_uri": uri} for name, uri in REDIRECTS.items()}
    for parameter, values in VALUES.items():
        found |= {f"{parameter}: {name}": {parameter: value} for name, value in values.items()}
    return found | {
        "prompt none, max_age 0": {"prompt": "none", "max_age": "0"},
        "prompt none, nobody signed in": {"prompt": "none", "signed_in": False},
        "request and request_uri": {"request": UNSIGNED, "request_uri": "{pushed}"},
        "a pushed request and another redirect": {
            **dict.fromkeys(RIGHT),
            "client_id": "{web}",
            "request_uri": "{pushed}",
            "redirect_uri": "https://mallory.example/cb",
        },
        "a pushed request without client_id": {**dict.fromkeys(RIGHT), "request_uri": "{pushed}"},
        "a pushed request": {
            **dict.fromkeys(RIGHT),
            "client_id": "{web}",
            "request_uri": "{pushed}",
        },
        "no parameters": dict.fromkeys(RIGHT),
        "a byte that is not UTF-8": {"raw": "&state2=%ff"},
        "POST": {"method": "POST"},
        "POST of JSON": {"method": "POST", "type": "application/json"},
        "POST of 100 KB": {"method": "POST", "x": "x" * 100_000},
    }


type Cases = dict[str, dict[str, Any]]

CODE: dict[str, Any] = {
    "grant_type": "authorization_code",
    "code": "{code}",
    "redirect_uri": REDIRECT,
    "code_verifier": VERIFIER,
    "auth": "basic",
}
REFRESH: dict[str, Any] = {
    "grant_type": "refresh_token",
    "refresh_token": "{refresh}",
    "auth": "basic",
}

# How requests can be written that no client writes. A body that is read as another type is empty.
ODD: Cases = {
    "GET": {"method": "GET"},
    "PUT": {"method": "PUT"},
    "JSON": {"type": "application/json"},
    "multipart": {"type": "multipart/form-data; boundary=x"},
    "text": {"type": "text/plain"},
    "no content type": {"type": None},
    "of 100 KB": {"x": "x" * 100_000},
    "with a byte that is not UTF-8": {"raw": "&x=%ff"},
}

GRANT_TYPES = (
    *("password", "client_credentials", "implicit", "AUTHORIZATION_CODE", "nonsense", "__proto__"),
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:device_code",
)
CLIENTS = (
    *("none", "wrong", "another's secret", "another client", "both", "mixed"),
    *("not base64", "bearer", "in the query", "unknown", "empty"),
    *("line feed", "public", "public with a secret", "lower case", "twice"),
)
BY_CLIENT: Cases = {f"client: {how}": {"auth": how} for how in CLIENTS}

TOKEN: Cases = {
    "right": {},
    "grant_type missing": {"grant_type": None},
    "grant_type twice": {"grant_type": ["authorization_code", "authorization_code"]},
    **{f"grant_type: {name}": {"grant_type": name} for name in GRANT_TYPES},
    "grant_type password with a password": {
        "grant_type": "password",
        "username": "alice",
        "password": "vivid otter under glass",
    },
    "code missing": {"code": None},
    "code twice": {"code": ["{code}", "{code}"]},
    "code unknown": {"code": "nonsense"},
    "code used": {"code": "{used}"},
    "code of another client": {"code": "{foreign_code}"},
    "code with a NUL": {"code": "{code}\0"},
    "code: a refresh token": {"code": "{refresh}"},
    "redirect_uri missing": {"redirect_uri": None},
    "redirect_uri: another": {"redirect_uri": "https://mallory.example/cb"},
    "redirect_uri twice": {"redirect_uri": [REDIRECT, REDIRECT]},
    "code_verifier missing": {"code_verifier": None},
    "code_verifier wrong": {"code_verifier": "x" * 43},
    "code_verifier: the challenge": {"code_verifier": CHALLENGE},
    "code_verifier of 42 characters": {"code_verifier": VERIFIER[:42]},
    "code_verifier twice": {"code_verifier": [VERIFIER, "x" * 43]},
    "scope widened": {"scope": "openid groups"},
    "resource of a stranger": {"resource": "https://mallory.example/"},
    **BY_CLIENT,
    **ODD,
    "parameters in the query": {
        **dict.fromkeys(CODE),
        "auth": "basic",
        "query": "grant_type=authorization_code&code={code}",
    },
    "no parameters": {**dict.fromkeys(CODE), "auth": "basic"},
}

REFRESHED: Cases = {
    "right": {},
    "missing": {"refresh_token": None},
    "unknown": {"refresh_token": "nonsense"},
    "of another client": {"refresh_token": "{foreign_refresh}"},
    "used two refreshes ago": {"refresh_token": "{old_refresh}"},
    "twice": {"refresh_token": ["{refresh}", "{refresh}"]},
    "an access token": {"refresh_token": "{access}"},
    "scope widened": {"scope": "openid profile email offline_access groups"},
    "scope narrowed": {"scope": "openid"},
    "resource of a stranger": {"resource": "https://mallory.example/"},
    "without a secret": {"auth": "none"},
    "by a public client": {"auth": "public"},
    "by another client": {"auth": "another client"},
}

PAR_RIGHT = {**RIGHT, "auth": "basic"}
PAR: Cases = {
    "right": {},
    "with a request_uri": {"request_uri": "{pushed}"},
    "with a request object": {"request": UNSIGNED},
    "redirect_uri of a stranger": {"redirect_uri": "https://mallory.example/cb"},
    "redirect_uri missing": {"redirect_uri": None},
    "code_challenge missing": {"code_challenge": None},
    "code_challenge_method plain": {"code_challenge_method": "plain"},
    "client_id of another": {"client_id": "{other}"},
    "scope unknown": {"scope": "openid root"},
    "response_type token": {"response_type": "token"},
    "resource of a stranger": {"resource": "https://mallory.example/"},
    **BY_CLIENT,
    **ODD,
}

USERINFO_RIGHT: dict[str, Any] = {"method": "GET", "token": "{access}"}
USERINFO: Cases = {
    "right": {},
    "right, by POST": {"method": "POST"},
    "no token": {"token": None},
    "an ID token": {"token": "{id_token}"},
    "a refresh token": {"token": "{refresh}"},
    "unsigned": {"token": UNSIGNED},
    "in the query": {"token": None, "query": "access_token={access}"},
    "in the header and in the query": {"query": "access_token={access}"},
    "without openid": {"token": "{access_without_openid}"},
    "revoked": {"token": "{revoked}"},
    "scheme Basic": {"scheme": "Basic"},
    "scheme DPoP": {"scheme": "DPoP"},
    "PUT": {"method": "PUT"},
}

ABOUT: dict[str, Any] = {"token": "{refresh}", "auth": "basic", "in_form": True}
REVOKE: Cases = {
    "right": {},
    "an access token": {"token": "{access}"},
    "an ID token": {"token": "{id_token}"},
    "unknown": {"token": "nonsense"},
    "of another client": {"token": "{foreign_refresh}"},
    "missing": {"token": None},
    "twice": {"token": ["{refresh}", "{refresh}"]},
    "with a NUL": {"token": "{refresh}\0"},
    "token_type_hint unknown": {"token_type_hint": "nonsense"},
    "token_type_hint wrong": {"token_type_hint": "access_token"},
    **BY_CLIENT,
    **ODD,
}
INTROSPECT: Cases = REVOKE

LOGOUT_RIGHT = {
    "id_token_hint": "{id_token}",
    "post_logout_redirect_uri": "{goodbye}",
    "state": "bye",
}
LOGOUT: Cases = {
    "right": {},
    "by POST": {"method": "POST"},
    "no parameters": dict.fromkeys(LOGOUT_RIGHT),
    "redirect of a stranger": {"post_logout_redirect_uri": "https://mallory.example/"},
    "redirect of another client": {"post_logout_redirect_uri": "https://other.example.org/bye"},
    "redirect with a query": {"post_logout_redirect_uri": "{goodbye}?x=1"},
    "redirect javascript": {"post_logout_redirect_uri": "javascript:alert(1)"},
    "redirect of a stranger, no hint": {
        "id_token_hint": None,
        "post_logout_redirect_uri": "https://mallory.example/",
    },
    "redirect, no hint, no client": {"id_token_hint": None},
    "redirect, client_id alone": {"id_token_hint": None, "client_id": "{web}"},
    "redirect, unknown client": {"id_token_hint": None, "client_id": "nobody"},
    "hint unsigned": {"id_token_hint": UNSIGNED},
    "hint: an access token": {"id_token_hint": "{access}"},
    "hint of another client": {"id_token_hint": "{id_token}", "client_id": "{other}"},
    "hint twice": {"id_token_hint": ["{id_token}", "{id_token}"]},
    "state with a line break": {"state": "a\r\nSet-Cookie: a=b"},
}
