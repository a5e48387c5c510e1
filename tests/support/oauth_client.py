"""An app that signs people in with their accounts here, called in process."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client as Browser

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.oauth import codes
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationRequest
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support.api import call
from tests.support.api_jwt import basic
from tests.support.apps import WEB
from tests.support.authorize import CHALLENGE, VERIFIER

EVERYTHING = "openid profile email groups offline_access"
FORM = "application/x-www-form-urlencoded"
HERE = ClientInfo("192.0.2.1", "Mozilla/5.0")


@dataclass(frozen=True)
class Answer:
    """The answer of an endpoint: its status, parsed JSON body and headers."""

    status: int
    body: Any
    headers: Any

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    @property
    def error(self) -> str:
        """The error code; an empty string if there is none."""
        return str(self.body.get("error", ""))


@dataclass
class App:
    """A registered app, which authenticates by HTTP Basic or, if it is public, by its ID alone."""

    client: Client
    secret: str = ""
    browser: Browser = field(default_factory=Browser)

    def code(self, session: LoginSession, scope: str = "openid", **changes: Any) -> str:
        """Return a code, as if the user of ``session`` had agreed."""
        fields = {
            "client": self.client,
            "redirect_uri": WEB,
            "scope": scope,
            "audience": audience(),
            "code_challenge": CHALLENGE,
            "expires_at": clock.now(),
        }
        return codes.issue(AuthorizationRequest(**(fields | changes)), session)

    def post(self, path: str, *, dpop: str = "", **form: str) -> Answer:
        """Call an endpoint, with the proof `dpop` if there is one."""
        headers = {"DPoP": dpop} if dpop else {}
        if self.secret:
            headers["Authorization"] = basic(self.client.pk, self.secret)
        else:
            form = {"client_id": self.client.pk} | form
        there = self.browser.post(path, urlencode(form), content_type=FORM, headers=headers)
        body = json.loads(there.content) if there.content else None
        return Answer(there.status_code, body, there)

    def redeem(self, code: str, /, **form: str) -> Answer:
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": WEB}
        return self.post("/oauth/token", **(sent | {"code_verifier": VERIFIER} | form))

    def sign_in(self, session: LoginSession, scope: str = EVERYTHING, **changes: Any) -> Answer:
        """Return the answer with the tokens for ``scope``."""
        answer = self.redeem(self.code(session, scope, **changes))
        assert answer.status == 200, answer.body
        return answer

    def revoke(self, token: str) -> Answer:
        return self.post("/oauth/revoke", token=token)

    def introspect(self, token: str) -> Answer:
        return self.post("/oauth/introspect", token=token)

    def refresh(self, token: str, /, **form: str) -> Answer:
        sent = {"grant_type": "refresh_token", "refresh_token": token}
        return self.post("/oauth/token", **(sent | form))


def audience() -> str:
    """Return the audience of tokens for this site."""
    origin: str = settings.AUTHSITE.origin
    return origin


def new_app(name: str = "Paperless", scope: str = EVERYTHING, **fields: Any) -> App:
    client = Client(name=name, scope=scope, **({"redirect_uris": [WEB]} | fields))
    return App(client, clients.create(client, Actor(name="@operator")))


def browser_of(user: User, *methods: Method) -> LoginSession:
    """Return a new browser session of ``user``, with the proofs ``methods``."""
    proofs = [Proof.now(method) for method in methods or (Method.PASSWORD,)]
    shown = max((proof.at for proof in proofs if proof.method in FACTORS), default=None)
    return sessions.create(user, proofs, HERE, is_remembered=False, stepped_up_at=shown)


def is_live(access: str) -> bool:
    """Return whether the site knows the session of an access token, whatever its scope is."""
    answer = call("me/", token=access)
    assert answer.code in {"", "insufficient_scope", "token_not_valid"}, answer
    return answer.status != 401


def set_client(app: App, **fields: Any) -> None:
    """Change the registration of ``app``."""
    Client.objects.filter(pk=app.client.pk).update(**fields)
