"""A server that is measured, and the requests to it."""

import base64
import http.client
import json
import re
import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.support.process import Process
from tests.support.site import TIMEOUT_SECONDS, Response

PASSWORD = "a long password for measuring"
# The people who sign in. One more person only looks at the page with the sessions.
PEOPLE = 16
VISITOR = PEOPLE
LOGIN = "/accounts/login/"
REDIRECT_URI, WIKI = "https://app.example.org/", "wiki.example.org"
# The example of RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Request(NamedTuple):
    """A request, in the order of the arguments of `HTTPConnection.request`."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]

    @property
    def wire(self) -> bytes:
        """The request as HTTP/1.1 sends it."""
        body = self.body or b""
        headers = self.headers | ({"Content-Length": str(len(body))} if body else {})
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Tokens(NamedTuple):
    access: str
    refresh: str


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes


class App(NamedTuple):
    """An app that signs people in with an OpenID Provider.

    `authorize` is the path of its authorization request, `token` that of the token endpoint,
    `client` is its id and secret with a colon between them, and `cookie` the `Cookie` header of a
    person who is signed in, if the server does not sign people in on a page. `tokens` are refresh
    tokens of the app.
    """

    authorize: str
    token: str
    client: str
    cookie: str = ""
    tokens: tuple[str, ...] = ()

    @classmethod
    def at(cls, authorize: str, token: str, client: str, cookie: str = "") -> "App":
        """Return an app whose authorization request is sent to the path `authorize`."""
        query = {"client_id": client.partition(":")[0], "redirect_uri": REDIRECT_URI}
        query |= {"response_type": "code", "scope": "openid email", "state": "s", "nonce": "n"}
        query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return cls(f"{authorize}?{urlencode(query)}", token, client, cookie)

    def redeem(self, server: "Server", code: str) -> Request:
        """Return the request that exchanges a code for tokens."""
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        return self._post(server, form | {"redirect_uri": REDIRECT_URI})

    def renew(self, server: "Server", token: str) -> Request:
        """Return the request that exchanges a refresh token for new tokens."""
        return self._post(server, {"grant_type": "refresh_token", "refresh_token": token})

    def _post(self, server: "Server", form: dict[str, str]) -> Request:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": f"Basic {base64.b64encode(self.client.encode()).decode()}",
        }
        return Request("POST", self.token, urlencode(form).encode(), server.headers | headers)


@dataclass(frozen=True)
class Server:
    """A running server.

    `algorithm` names what signs its tokens, `api` is the path prefix of its API, and `key` is an
    `Authorization` header with an API key. `of_wiki` are `Cookie` headers of people who have opened
    an app behind a proxy. `of_staff` is the path of a page about a person, and the `Cookie` header
    of a member of staff.
    """

    name: str
    process: Process
    port: int
    headers: dict[str, str]
    algorithm: str = ""
    api: str = "/api/"
    jwks_path: str = "/.well-known/jwks.json"
    login_path: str = LOGIN
    key: str = ""
    app: App | None = None
    of_wiki: Sequence[str] = ("",)
    of_staff: Sequence[str] = ("", "")

    def get(self, path: str, **headers: str) -> Request:
        return Request("GET", path, None, self.headers | headers)

    def me(self, credential: str) -> Request:
        """Return a call for one's profile; `credential` is the `Authorization` header."""
        return self.get(f"{self.api}me/", Authorization=credential)

    def log_in(self, number: int, password: str = PASSWORD) -> Request:
        return self.post("token/", username=f"person{number}", password=password)

    def renew(self, refresh: str) -> Request:
        return self.post("token/refresh/", refresh=refresh)

    def post(self, path: str, **body: str) -> Request:
        headers = self.headers | {"Content-Type": "application/json"}
        return Request("POST", self.api + path, json.dumps(body).encode(), headers)

    def ask(self, asked: Request) -> Response:
        """Send a request over a new connection, and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        with closing(connection):
            connection.request(*asked)
            answer = connection.getresponse()
            return Response(asked.path, answer.status, answer.headers, answer.read())

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def tokens(self) -> Sequence[Tokens]:
        """Sign in everybody once, and return the tokens."""
        answers = [self.ask(self.log_in(number)).json() for number in range(PEOPLE)]
        return [Tokens(answer["access"], answer["refresh"]) for answer in answers]


def exchange(connection: socket.socket, request: bytes) -> Answer:
    """Send a request, and return the answer.

    Python's own HTTP client takes longer for an answer than the fastest of the servers.
    """
    connection.sendall(request)
    answer = b""
    while (body := _body(answer)) is None:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"the server closed the connection after {answer!r}")
        answer += more
    return Answer(int(answer[9:12]), answer.removesuffix(body), body)


def _body(answer: bytes) -> bytes | None:
    """Return the body of an answer, with its chunks if any, or None while bytes are missing."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    is_whole = len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")
    return body if end and is_whole else None


def algorithm_of(token: str) -> str:
    """Return the algorithm of a JWT, from its header."""
    head, _, _ = token.partition(".")
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return str(header["alg"])
