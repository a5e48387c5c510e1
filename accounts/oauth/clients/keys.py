"""The public keys with which an app authenticates: a JWK set (RFC 7517 section 5).

The algorithm is decided by the key, and not by the JWT that it verifies (RFC 8725 section 3.1).
"""

from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.tokens import keys
from accounts.tokens.signatures import Parts, is_signed

type Keys = dict[str, list[keys.Jwk]]

# A few keys are enough to replace one key with the next. Each may be tried for a JWT without
# ``kid``.
MOST_KEYS = 5
# The number of keys of a fetched set that are considered. Such a set may have keys for other
# purposes.
MOST_FETCHED = 20
LONGEST_KID = 255
# The base64 length of a number of 8192 bits. Longer numbers would cost too much time.
LONGEST_MEMBER = 1366
# For each type of key: the algorithm and the curve.
KINDS = {"RSA": ("RS256", None), "EC": ("ES256", "P-256"), "OKP": ("EdDSA", "Ed25519")}
# For each algorithm: the values of ``alg`` that name it. RFC 9864 renames EdDSA to Ed25519.
NAMES = {"RS256": ("RS256",), "ES256": ("ES256",), "EdDSA": ("EdDSA", "Ed25519")}
ALGORITHMS = [name for names in NAMES.values() for name in names]


def checked(jwks: Any) -> Keys:
    """Return the JWK set ``jwks`` with only the public members, and a ``kid`` for each key.

    Raises:
        ValidationError: ``jwks`` is not a JWK set, or one of its keys is private, weak, or not
            for ES256, RS256 or EdDSA.
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
    """Return the keys of the fetched JWK set ``jwks`` that :func:`checked` would accept.

    Raises:
        ValidationError: there is none.
        TypeError, LookupError: ``jwks`` is not a JWK set.
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
    """Return whether one of the keys, with its own algorithm, has signed ``jwt``.

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
    """Return the public key ``jwk`` in its stored form.

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
    """Parse the key ``jwk``. Errors are those that :func:`_checked` expects."""
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
