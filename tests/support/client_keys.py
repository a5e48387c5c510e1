"""An app that authenticates by a key of its own (``private_key_jwt``, RFC 7523)."""

import json
from dataclasses import dataclass
from typing import Any, override

from jwt import get_algorithm_by_name

from accounts.common import clock, secrets
from accounts.oauth.clients.models import Client
from accounts.tokens.keys import public_jwk
from tests.support.forgeries import Json, Mint, key_of
from tests.support.oauth_client import Answer, App, audience, new_app
from tests.support.receiver import Receiver, say

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def public_of(*keys: Any) -> dict[str, Any]:
    """Return the JWK set of private keys."""
    return {"keys": [public_jwk(key) for key in keys]}


@dataclass
class KeyedApp(App):
    """A registered app that signs a new assertion for each call. ``key`` is its private key."""

    key: Any = None

    def mint(self) -> Mint:
        """Return a mint with the header and claims of a valid assertion."""
        jwk = public_of(self.key)["keys"][0]
        now = int(clock.now().timestamp())
        claims: Json = {"iss": self.client.pk, "sub": self.client.pk, "aud": audience()}
        claims |= {"iat": now, "exp": now + 60, "jti": secrets.token()}
        return Mint(self.key, jwk["alg"], {"alg": jwk["alg"], "kid": jwk["kid"]}, claims)

    @override
    def post(self, path: str, **form: str) -> Answer:
        """Call an endpoint. Without an assertion in ``form``, send a valid one."""
        if "client_assertion" not in form:
            form["client_assertion"] = self.mint().token()
        return super().post(path, client_assertion_type=ASSERTION_TYPE, **form)


def keyed_app(name: str = "Paperless", algorithm: str = "ES256") -> KeyedApp:
    """Register an app with a key for ``algorithm``; each name has its own key."""
    key = key_of(algorithm, name)
    client: Client = new_app(name, jwks=public_of(key)).client
    return KeyedApp(client, key=key)


def publish(receiver: Receiver, *keys: Any, path: str = "/keys") -> None:
    """Let ``receiver`` publish the public keys of private keys."""
    receiver.answers[path] = say(200, json.dumps(public_of(*keys)).encode())


def publishing_app(receiver: Receiver, name: str = "Paperless", path: str = "/keys") -> KeyedApp:
    """Register an app that publishes its key at ``receiver``, which is in a private network."""
    key = key_of("ES256", name)
    publish(receiver, key, path=path)
    client = new_app(name, jwks_uri=receiver.url(path), jwks_uri_is_private=True).client
    return KeyedApp(client, key=key)


ES256, RS256, EDDSA = (public_of(key_of(name))["keys"][0] for name in ("ES256", "RS256", "EdDSA"))
PRIVATE = get_algorithm_by_name("ES256").to_jwk(key_of("ES256"), as_dict=True)
