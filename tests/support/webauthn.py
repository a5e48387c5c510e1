"""A passkey in software that signs whatever a test wants, as an attacker's program could.

Browsers and real authenticators would refuse most of it.
"""

import hashlib
import html
import json
import os
import re
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings
from webauthn.helpers import bytes_to_base64url

from accounts.twofactor.models import Passkey as Row
from accounts.users.models import User

LOGIN_PASSKEY = "/accounts/login/passkey/"
PASSKEYS = "/accounts/2fa/passkeys/"
ADD = "/accounts/2fa/passkeys/add/"
OFFER = "/accounts/2fa/passkeys/offer/"

# The flags of authenticator data (WebAuthn section 6.1).
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
NO_MODEL = bytes(16)


ORIGIN = settings.AUTHSITE.origin
# What a response of a passkey must not contain.
WRONG_RESPONSES: dict[str, dict[str, Any]] = {
    "a foreign origin": {"origin": "https://evil.example"},
    "a host that begins like ours": {"origin": f"{ORIGIN}.evil.example"},
    "a host below ours": {"origin": ORIGIN.replace("://", "://www.")},
    "no origin": {"client": {"origin": None}},
    "another relying party": {"rp_id": "evil.example"},
    "a registration": {"kind": "webauthn.create"},
    "a page framed by another origin": {"client": {"crossOrigin": True}},
    "a page framed by a named origin": {"client": {"topOrigin": "https://evil.example"}},
    "nobody present": {"flags": VERIFIED},
    "backed up, yet never eligible": {"flags": PRESENT | VERIFIED | BACKED_UP},
}


@dataclass
class Answer:
    """The data of a WebAuthn response before it is signed; tests change its members."""

    challenge: str
    kind: str
    origin: str
    rp_id: str
    flags: int
    counter: int
    client: dict[str, Any] = field(default_factory=dict)

    @property
    def client_data(self) -> bytes:
        fixed = {"type": self.kind, "challenge": self.challenge, "origin": self.origin}
        return json.dumps({**fixed, "crossOrigin": False, **self.client}).encode()

    @property
    def head(self) -> bytes:
        """The authenticator data without the credential."""
        rp_id_hash = hashlib.sha256(self.rp_id.encode()).digest()
        return rp_id_hash + bytes([self.flags]) + self.counter.to_bytes(4)


class Passkey:
    """A passkey. With ``counts`` it counts its uses as a security key does; synced ones send 0."""

    def __init__(self, *, counts: bool = False, credential_id: bytes = b"") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.raw_id = credential_id or os.urandom(32)
        self.counts = counts
        self.counter = 0
        self.flags = PRESENT | VERIFIED | (0 if counts else ELIGIBLE | BACKED_UP)

    @property
    def id(self) -> str:
        return bytes_to_base64url(self.raw_id)

    @property
    def public_key(self) -> bytes:
        """The public key in COSE encoding (RFC 9053 section 7.1.1)."""
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def create(
        self,
        options: dict[str, Any],
        *,
        attestation: dict[str, Any] | None = None,
        response: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return the JSON of a registration for ``options``; ``changes`` override `Answer`."""
        answer = self.answer(options, "webauthn.create", options["rp"]["id"], changes)
        answer.flags |= ATTESTED
        size = len(self.raw_id).to_bytes(2)
        data = answer.head + NO_MODEL + size + self.raw_id + self.public_key
        statement = {"fmt": "none", "attStmt": {}, "authData": data, **(attestation or {})}
        return self._json(
            {
                "clientDataJSON": bytes_to_base64url(answer.client_data),
                "attestationObject": bytes_to_base64url(cbor2.dumps(statement)),
                "transports": ["internal", "hybrid"],
                **(response or {}),
            }
        )

    def get(
        self, options: dict[str, Any], *, response: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return the JSON of an assertion for ``options``; ``changes`` override `Answer`."""
        self.counter += self.counts
        answer = self.answer(options, "webauthn.get", options["rpId"], changes)
        signed = answer.head + hashlib.sha256(answer.client_data).digest()
        return self._json(
            {
                "clientDataJSON": bytes_to_base64url(answer.client_data),
                "authenticatorData": bytes_to_base64url(answer.head),
                "signature": bytes_to_base64url(self.key.sign(signed, ec.ECDSA(SHA256()))),
                **(response or {}),
            }
        )

    def answer(
        self, options: dict[str, Any], kind: str, rp_id: str, changes: dict[str, Any]
    ) -> Answer:
        origin = changes.pop("origin", "") or settings.AUTHSITE.origin
        made = Answer(options["challenge"], kind, origin, rp_id, self.flags, self.counter)
        return replace(made, **changes)

    def _json(self, response: dict[str, Any]) -> str:
        extra: dict[str, Any] = {"clientExtensionResults": {}, "response": response}
        return json.dumps({"id": self.id, "rawId": self.id, "type": "public-key", **extra})


def registered(user: User, **options: Any) -> Passkey:
    """Give ``user`` a passkey, without using the pages, and return it."""
    made = Passkey(**options)
    Row.objects.create(
        user=user,
        name="Phone",
        credential_id=made.id,
        public_key=bytes_to_base64url(made.public_key),
        sign_count=0,
        aaguid="00000000-0000-0000-0000-000000000000",
        is_eligible=not made.counts,
        is_synced=not made.counts,
    )
    return made


def options_on(page: str) -> dict[str, Any]:
    """Return the WebAuthn options in a page."""
    found = re.search(r'data-passkey="([^"]+)"', page)
    assert found, page[:500]
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


def automatic_options_on(page: str) -> dict[str, Any] | None:
    """Return the options with which the browser may make a passkey, or None if there are none."""
    found = re.search(r'data-automatic="([^"]+)"', page)
    options: dict[str, Any] | None = json.loads(html.unescape(found[1])) if found else None
    return options


def codes_page(client: Any, passkey: Passkey) -> str:
    """Use an unconfirmed ``passkey`` on its page; return the next page, with recovery codes."""
    page = confirm_page(passkey)
    answer = passkey.get(options_on(client.get(page).text))
    return str(client.post(page, {"credential": answer}).text)


def confirm_page(passkey: Passkey) -> str:
    """Return the path of the page that makes ``passkey`` a second factor."""
    return f"{PASSKEYS}{Row.objects.get(credential_id=passkey.id).pk}/confirm/"


def let_the_browser_make(client: Any) -> Passkey:
    """Let a browser make a passkey on the home page after a sign-in; return the passkey."""
    made, options = Passkey(), automatic_options_on(client.get("/").text)
    assert options
    # Nobody has touched the authenticator, so the flag for the user's presence is not set.
    client.post(OFFER, {"credential": made.create(options, flags=made.flags & ~PRESENT)})
    return made
