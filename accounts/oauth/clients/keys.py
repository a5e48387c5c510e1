"""The public keys with which an app authenticates: a JWK set (RFC 7517 section 5).

The key decides the algorithm, not the JWT that it verifies (RFC 8725 section 3.1).
"""

from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.tokens import keys
from accounts.tokens.signatures import Parts, is_signed

type Keys = dict[str, list[keys.Jwk]]

# A few keys suffice to replace one key by the next. Each may be tried for a JWT without ``kid``.
MOST_KEYS = 5
# How many keys of a fetched set are considered. Such a set may have keys for other purposes.
MOST_FETCHED = 20
LONGEST_KID = 255
# The base64 length of a number of 8192 bits. The work grows with the length of the numbers.
LONGEST_MEMBER = 1366
# The algorithm and the curve of each type of key.
KINDS = {"RSA": ("RS256", None), "EC": ("ES256", "P-256"), "OKP": ("EdDSA", "Ed25519")}
# The values of ``alg`` that mean each algorithm. RFC 9864 renames EdDSA with Ed25519.
NAMES = {"RS256": ("RS256",), "ES256": ("ES256",), "EdDSA": ("EdDSA", "Ed25519")}
ALGORITHMS = [name for names in NAMES.values() for name in names]


def checked(jwks: Any) -> Keys:
    """Return the JWK set ``jwks`` with the public members only, and a ``kid`` for each key.

    Raises:
        ValidationError: ``jwks`` is no JWK set, or one of its keys is private, weak or of another
            kind than ES256, RS256 and EdDSA use.
    """
    found = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_KEYS:
        sentence = _("Enter a JSON Web Key Set with one to %(count)s keys.") % {"count": MOST_KEYS}
        raise ValidationError(sentence)
    public = [_checked(key) for key in found]
    if len({key["kid"] for key in public}) < len(public):
        raise ValidationError(_("Two keys have the same “kid”."))
    return {"keys": public}


def usable(jwks: Any) -> Keys:
    """Return those keys of the fetched JWK set ``jwks`` that :func:`checked` would accept.

    Raises:
        ValidationError: there is none.
        TypeError, LookupError: ``jwks`` is no JWK set.
    """
    found: dict[str, keys.Jwk] = {}
    for jwk in jwks["keys"][:MOST_FETCHED]:
        with suppress(ValidationError):
            key = _checked(jwk)
            found.setdefault(key["kid"], key)
    if not found:
        raise ValidationError("no usable key")
    return {"keys": list(found.values())}


def is_signed_by(jwks: Keys, jwt: Parts) -> bool:
    """Return whether one of the keys has signed ``jwt``, with the algorithm of that key.

    Raises:
        LookupError, TypeError, AttributeError: the header is malformed.
    """
    return any(
        jwt.header.get("kid", key["kid"]) == key["kid"]
        and jwt.header["alg"] in NAMES[key["alg"]]
        and is_signed(jwt, key["alg"], keys.public_key(key))
        for key in jwks["keys"]
    )


def _checked(jwk: Any) -> keys.Jwk:
    """Return the public key ``jwk`` in the form in which it is stored.

    Raises:
        ValidationError: see :func:`checked`.
    """
    if isinstance(jwk, dict) and keys.SECRET_MEMBERS & jwk.keys():
        sentence = _("This is a private key. Only the app may know it, so make a new key pair.")
        raise ValidationError(sentence)
    try:
        key = _parsed(jwk)
    except (LookupError, TypeError, ValueError, AttributeError):
        sentence = _(
            "One of the keys can’t be used. Use keys for signatures: RSA keys of 2048 to 8192 bits "
            "(RS256), P-256 keys (ES256) or Ed25519 keys (EdDSA)."
        )
        raise ValidationError(sentence) from None
    written = keys.written(key)
    return written | {"kid": jwk.get("kid", written["kid"])}


def _parsed(jwk: Any) -> keys.PublicKey:
    """Return the key that ``jwk`` encodes; raise any error that :func:`_checked` expects."""
    algorithm, curve = KINDS[jwk["kty"]]
    members = {name: jwk[name] for name in keys.MEMBERS[jwk["kty"]]}
    kid = jwk.get("kid", "x")
    is_usable = (
        all(len(value) <= LONGEST_MEMBER for value in members.values())
        and jwk.get("crv") == curve
        and jwk.get("alg", algorithm) in NAMES[algorithm]
        and jwk.get("use", "sig") == "sig"
        and "verify" in jwk.get("key_ops", ["verify"])
        and kid.isprintable()
        and 1 <= len(kid) <= LONGEST_KID
    )
    if not is_usable:
        raise ValueError
    return keys.checked_public_key(members)
