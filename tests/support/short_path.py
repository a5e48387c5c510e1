"""Requests to the paths of the short path: those that it answers, and those that Django answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.common import clock
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring
from accounts.users.models import User
from tests.support import api
from tests.support.api_keys import key_of
from tests.support.forgeries import Mint
from tests.support.wsgi import Answer, Applications, answer, environ

ME, REFRESH = "/api/v1/me/", "/api/v1/token/refresh/"
JWKS, LIVE, READY = "/.well-known/jwks.json", "/health/live", "/health/ready"
SHOP = "https://shop.example.org"


@dataclass
class World:
    """Alice's tokens, and the applications that are asked."""

    user: User
    access: str
    refresh: str
    mint: Mint
    apps: Applications

    def me(self, **more: Any) -> dict[str, Any]:
        return environ("GET", ME, **{"HTTP_AUTHORIZATION": f"Bearer {self.access}", **more})

    def renew(self, body: bytes | None = None, **more: Any) -> dict[str, Any]:
        sent = json.dumps({"refresh": self.refresh}).encode() if body is None else body
        return environ("POST", REFRESH, sent, **more)


def jwks(**more: Any) -> dict[str, Any]:
    return environ("GET", JWKS, **more)


def live(**more: Any) -> dict[str, Any]:
    return environ("GET", LIVE, **more)


def ready(**more: Any) -> dict[str, Any]:
    return environ("GET", READY, **more)


type Ask = Callable[[World], dict[str, Any]]

PLAIN: dict[str, Ask] = {
    "me": lambda w: w.me(),
    "me, in an unknown language": lambda w: w.me(HTTP_ACCEPT_LANGUAGE="tlh"),
    "me, as XML": lambda w: w.me(HTTP_ACCEPT="application/xml"),
    "me, an empty body": lambda w: w.me(CONTENT_LENGTH="0"),
    "me, by a proxy that nobody trusts": lambda w: w.me(HTTP_X_FORWARDED_FOR="203.0.113.9"),
    "me, in part": lambda w: w.me(HTTP_RANGE="bytes=0-3"),
    "refresh": lambda w: w.renew(),
    "refresh, with an access token": lambda w: w.renew(HTTP_AUTHORIZATION=f"Bearer {w.access}"),
    "refresh, with spaces": lambda w: w.renew(f' {{ "refresh" : "{w.refresh}" }} '.encode()),
    "refresh, twice the member": lambda w: w.renew(
        f'{{"refresh": "", "refresh": "{w.refresh}"}}'.encode()
    ),
    "JWKS": lambda _w: jwks(),
    "JWKS, with credentials": lambda _w: jwks(HTTP_AUTHORIZATION="Bearer x"),
    "live": lambda _w: live(),
    "ready": lambda _w: ready(),
}


def twice_used(w: World) -> dict[str, Any]:
    """Return a request with a refresh token whose successor was used, too."""
    following = api.renew(w.refresh)["refresh"]
    api.renew(following)
    return w.renew()


def used(w: World) -> dict[str, Any]:
    api.renew(w.refresh)
    return w.renew()


def ended(w: World) -> None:
    LoginSession.objects.filter(user=w.user).update(ended_at=clock.now())


def without_session(asked: Ask) -> Ask:
    def ask(w: World) -> dict[str, Any]:
        ended(w)
        return asked(w)

    return ask


def without_account(asked: Ask) -> Ask:
    def ask(w: World) -> dict[str, Any]:
        User.objects.filter(pk=w.user.pk).update(is_active=False)
        return asked(w)

    return ask


def by(scope: str = "read", **more: Any) -> Ask:
    """Return a request for ``me`` with an access token of its own."""

    def ask(w: World) -> dict[str, Any]:
        access = api.get_tokens("alice", scope=scope, **more)["access"]
        return w.me(HTTP_AUTHORIZATION=f"Bearer {access}")

    return ask


def forged(**changes: Any) -> Ask:
    return lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.mint.token(**changes)}")


def renew(text: str) -> Ask:
    """Return a refresh with a body in which REFRESH stands for the token."""
    return lambda w: w.renew(text.replace("REFRESH", w.refresh).encode())


ODD: dict[str, Ask] = {
    "me, with a cookie": lambda w: w.me(HTTP_COOKIE="django_language=de"),
    "me, from another origin": lambda w: w.me(HTTP_ORIGIN="https://mallory.example"),
    "me, with a query": lambda w: w.me(QUERY_STRING="format=xml"),
    "me, a key in the query": lambda w: w.me(QUERY_STRING="k=authsite_" + "a" * 40),
    "me, in German": lambda w: w.me(HTTP_ACCEPT_LANGUAGE="de"),
    "me, HEAD": lambda w: w.me(REQUEST_METHOD="HEAD"),
    "me, POST": lambda w: w.me(REQUEST_METHOD="POST"),
    "me, TRACE": lambda w: w.me(REQUEST_METHOD="TRACE"),
    "me, lower-case method": lambda w: w.me(REQUEST_METHOD="get"),
    "me, without the slash": lambda w: w.me(PATH_INFO="/api/v1/me"),
    "me, below another root": lambda w: w.me(SCRIPT_NAME="/x"),
    "me, HTTP/2": lambda w: w.me(SERVER_PROTOCOL="HTTP/2"),
    "me, a body": lambda w: w.me(CONTENT_LENGTH="2"),
    "me, a length that is none": lambda w: w.me(CONTENT_LENGTH="-1"),
    "me, a body in chunks": lambda w: w.me(HTTP_TRANSFER_ENCODING="chunked"),
    "me, another host": lambda w: w.me(HTTP_HOST="mallory.example"),
    "me, a host with a wrong port": lambda w: w.me(HTTP_HOST="localhost:99999"),
    "me, no host": lambda w: w.me(HTTP_HOST=None),
    "me, lower-case scheme": lambda w: w.me(HTTP_AUTHORIZATION=f"bearer {w.access}"),
    "me, a word too many": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.access} x"),
    "me, no credentials": lambda w: w.me(HTTP_AUTHORIZATION=None),
    "me, an empty token": lambda w: w.me(HTTP_AUTHORIZATION="Bearer "),
    "me, not ASCII": lambda w: w.me(HTTP_AUTHORIZATION="Bearer \u00e9\u0000"),
    "me, a refresh token": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.refresh}"),
    "me, a long token": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.access * 20}"),
    "me, HTTP Basic": lambda w: w.me(HTTP_AUTHORIZATION="Basic YWxpY2U6eA=="),
    "me, an API key": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {key_of(w.user)}"),
    "me, another signature": lambda w: w.me(HTTP_AUTHORIZATION=f"Bearer {w.access[:-4]}AAAA"),
    "me, an expired token": forged(exp=1),
    "me, a token from the future": forged(nbf=9_999_999_999),
    "me, a token for another service": by(audience=SHOP),
    "me, a scope too small": by("sessions:read"),
    "me, a session that is revoked": without_session(lambda w: w.me()),
    "me, an account that is deactivated": without_account(lambda w: w.me()),
    "refresh, GET": lambda _w: environ("GET", REFRESH),
    "refresh, used before": used,
    "refresh, used long before": twice_used,
    "refresh, revoked": without_session(lambda w: w.renew()),
    "refresh, deactivated": without_account(lambda w: w.renew()),
    "refresh, a scope": renew('{"refresh": "REFRESH", "scope": "profile:read"}'),
    "refresh, a scope too large": renew('{"refresh": "REFRESH", "scope": "users:read"}'),
    "refresh, an audience": renew(f'{{"refresh": "REFRESH", "audience": "{SHOP}"}}'),
    "refresh, an unknown member": renew('{"refresh": "REFRESH", "x": 1}'),
    "refresh, a number": renew('{"refresh": 1}'),
    "refresh, half a character": renew('{"refresh": "\\ud800"}'),
    "refresh, another secret": renew('{"refresh": "REFRESHx"}'),
    "refresh, no JSON": renew("{'refresh': 'REFRESH'}"),
    "refresh, NaN": renew("NaN"),
    "refresh, brackets": renew("[" * 1000),
    "refresh, a large body": renew('{"refresh": "REFRESH"}' + " " * 2000),
    "refresh, a byte-order mark": renew('\ufeff{"refresh": "REFRESH"}'),
    "refresh, UTF-16": lambda w: w.renew(json.dumps({"refresh": w.refresh}).encode("utf-16")),
    "refresh, a form": lambda w: w.renew(CONTENT_TYPE="application/x-www-form-urlencoded"),
    "refresh, another charset": lambda w: w.renew(CONTENT_TYPE="application/json; charset=utf-16"),
    "refresh, no content type": lambda w: w.renew(CONTENT_TYPE=None),
    "refresh, no length": lambda w: w.renew(CONTENT_LENGTH=None),
    "refresh, a short length": lambda w: w.renew(CONTENT_LENGTH="9"),
    "refresh, a cookie": lambda w: w.renew(HTTP_COOKIE="known=x"),
    "JWKS, HEAD": lambda _w: jwks(REQUEST_METHOD="HEAD"),
    "JWKS, the same": lambda _w: jwks(HTTP_IF_NONE_MATCH=keyring.jwks().etag),
    "JWKS, another": lambda _w: jwks(HTTP_IF_NONE_MATCH='"x"'),
    "JWKS, POST": lambda _w: jwks(REQUEST_METHOD="POST"),
    "live, HEAD": lambda _w: live(REQUEST_METHOD="HEAD"),
    "live, another host": lambda _w: live(HTTP_HOST="10.0.0.7"),
    "ready, POST": lambda _w: ready(REQUEST_METHOD="POST"),
}


def undone(application: Any, asked: Callable[[], dict[str, Any]]) -> Answer:
    """Return the answer, and undo what the request has changed."""
    return undone_with_ips(application, asked)[0]


def undone_with_ips(application: Any, asked: Callable[[], dict[str, Any]]) -> tuple[Answer, Any]:
    """Return the answer and the IP addresses of the sessions afterwards; undo the changes."""
    with transaction.atomic():
        found = answer(application, asked())
        ips = set(LoginSession.objects.values_list("ip", flat=True))
        transaction.set_rollback(True)
    return found, ips
