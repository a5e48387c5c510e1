"""ID tokens: signed statements about a sign-in to an app (OpenID Connect Core section 2).

Their header has the type ``JWT``, so that nobody accepts one as an access token (RFC 9068).
"""

from collections.abc import Collection
from typing import Any

from django.conf import settings

from accounts.common import clock
from accounts.common.localization import tag_of
from accounts.oauth.clients.models import Client
from accounts.profile import pictures
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring, signatures
from accounts.tokens.keyring import Further
from accounts.tokens.signatures import LONGEST_WITH_GROUPS, NotGenuine
from accounts.users.models import User
from accounts.users.services import is_email_verified

BY_SCOPE = {
    "profile": (
        *("preferred_username", "name", "given_name", "family_name", "picture"),
        *("locale", "zoneinfo", "updated_at"),
    ),
    "email": ("email", "email_verified"),
    "groups": ("groups",),
}


def claims_of(user: User, scope: Collection[str]) -> dict[str, Any]:
    """Return the claims about ``user`` that ``scope`` grants, without empty ones.

    ``sub`` is missing, because it depends on the app. An unknown scope grants no claim.
    """
    claims: dict[str, Any] = {}
    if "profile" in scope:
        claims["preferred_username"] = user.username
        claims["name"] = user.display_name or user.username
        claims["zoneinfo"] = user.time_zone
        held = {"given_name": user.given_name, "family_name": user.family_name}
        held |= {"locale": tag_of(user.language), "picture": pictures.url_of(user)}
        claims |= {name: value for name, value in held.items() if value}
        claims["updated_at"] = int(user.updated_at.timestamp())
    if "email" in scope and user.email:
        claims |= {"email": user.email, "email_verified": is_email_verified(user)}
    if "groups" in scope:
        claims["groups"] = user.group_names
    return claims


TYPE = "JWT"


def algorithm(client: Client | None = None) -> str:
    """Return the algorithm that signs the ID tokens for ``client``; the usual one without a client.

    If this site no longer uses the algorithm of ``client``, it has no key for it, and the usual
    algorithm is used.
    """
    own = client.id_token_algorithm if client else ""
    is_used = own and own in keyring.algorithms()
    return own if is_used else str(settings.AUTHSITE.id_token_algorithm)


SIGNED = Further(algorithm, is_needed=Client.objects.exists)


def be_ready(client: Client | None = None) -> None:
    """Load the signing keys, so that :func:`issue` cannot fail later; create them if necessary.

    Call this before a code is used up, outside of transactions.

    Raises:
        CannotSign: a signing key cannot be decrypted.
    """
    signatures.be_ready()
    keyring.signer(algorithm(client))


def issue(session: LoginSession, client: Client, scope: Collection[str], nonce: str = "") -> str:
    """Return an ID token about the user of ``session``, a session of the app ``client``.

    ``nonce``: the nonce of the authorization request; empty if it had none, and at a refresh
        (OpenID Connect Core section 12.2).
    """
    key, now = keyring.signer(algorithm(client)), int(clock.now().timestamp())
    claims: dict[str, Any] = claims_of(session.user, scope) | {
        "iss": settings.AUTHSITE.origin,
        "sub": str(session.subject),
        "aud": client.pk,
        "iat": now,
        "exp": now + settings.AUTHSITE.id_token_seconds,
        "auth_time": int(session.auth_time.timestamp()),
        "amr": session.amr,
        "acr": session.claimed_acr,
    }
    if not session.signed_out_at:
        claims["sid"] = str(session.pk)
    if nonce:
        claims["nonce"] = nonce
    token = signatures.sign(claims, TYPE, key)
    if "groups" in claims and len(token) > LONGEST_WITH_GROUPS:
        del claims["groups"]
        token = signatures.sign(claims | {"groups_omitted": True}, TYPE, key)
    return token


def hint_of(text: str, client_id: str) -> dict[str, Any] | None:
    """Return the claims of an ``id_token_hint``; None if it was not issued for this client.

    ``client_id``: the client for which the token was issued, or an empty string for any client.

    Expired tokens are accepted (OpenID Connect RP-Initiated Logout 1.0 section 4), because apps
    store them for as long as their session lasts. The key may be retired. Never log a hint: it
    contains personal data.
    """
    try:
        _key, claims = signatures.verified(text, TYPE, keyring.find_hint_key)
    except NotGenuine:
        return None
    audience = claims.get("aud")
    is_for_it = audience == client_id if client_id else isinstance(audience, str)
    if claims.get("iss") != settings.AUTHSITE.origin or not is_for_it:
        return None
    return claims
