"""Generates, loads, checks and converts private and public keys. This module stores nothing.

RSA keys sign with RS256, P-256 keys with ES256 and Ed25519 keys with EdDSA (RFC 7518 section 3, RFC
8037).
"""

import base64
import json
import re
from collections.abc import Callable
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from accounts.common import crypto
from accounts.common.errors import PublicError

type PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey
type PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
type Jwk = dict[str, str]

# NIST SP 800-57 part 1: 128 bits of strength.
RSA_BITS = 3072
# RFC 7518 section 3.3 requires at least 2048 bits. Beyond 8192 bits, one signature takes a tenth of
# a second or more.
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192
# FIPS 186-5 section 5.4 requires an odd exponent above 2^16. Signatures of keys with the exponent 3
# have been forged.
LEAST_EXPONENT = 65537

ALGORITHMS = ("RS256", "ES256", "EdDSA")
# The members of a JWK that make up the public key. Its thumbprint covers exactly these (RFC 7638
# section 3.2, RFC 8037 section 2).
MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}

# The members of a JWK that make up a private or symmetric key (RFC 7518 section 6, RFC 8037).
SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# The first bytes of a PKCS#8 file contain ``ID_RSASSA_PSS`` if the key is for RSA-PSS only (RFC
# 8017 appendix A.2.3).
PKCS8 = re.compile(rb"-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=]{64})")
ID_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")


class KeyRefused(PublicError):
    """The key cannot be used for signing on this site.

    The message is for operators and reveals nothing about the key.
    """

    code = "key_refused"

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message


class PassphraseNeeded(KeyRefused):
    """The key is encrypted, and no passphrase was given."""


def generate(algorithm: str) -> PrivateKey:
    """Return a new private key for ``algorithm``, which is RS256, ES256 or EdDSA.

    OpenSSL generates the key with its random generator, which the operating system seeds.

    Raises:
        KeyError: ``algorithm`` is not supported.
    """
    return _GENERATED[algorithm]()


_GENERATED: dict[str, Callable[[], PrivateKey]] = {
    "RS256": lambda: generate_rsa(public_exponent=LEAST_EXPONENT, key_size=RSA_BITS),
    "ES256": lambda: generate_private_key(SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate,
}


UNSUPPORTED = "Keys of this kind can’t sign here: RSA, P-256 and Ed25519 can."


def load(text: bytes, password: bytes | None = None) -> PrivateKey:
    """Return the private key in the PEM file ``text``, as ``openssl`` or ``ssh-keygen`` writes it.

    The file may be in PKCS#1, PKCS#8, SEC1 or OpenSSH format. ``password`` decrypts the key.

    Raises:
        PassphraseNeeded: the key is encrypted, and ``password`` is missing.
        KeyRefused: the file cannot be parsed or decrypted, or the key cannot sign here.
    """
    if b"PRIVATE KEY-----" not in text:
        raise KeyRefused("This is no private key in PEM: the file has no line “PRIVATE KEY”.")
    is_ssh = b"BEGIN OPENSSH PRIVATE KEY" in text
    try:
        key = (load_ssh_private_key if is_ssh else load_pem_private_key)(text, password or None)
    except TypeError:
        if password:
            raise KeyRefused("The key isn’t encrypted: leave the passphrase out.") from None
        raise PassphraseNeeded("The key is encrypted, and no passphrase was given.") from None
    except UnsupportedAlgorithm:
        raise KeyRefused(UNSUPPORTED) from None
    except (ValueError, NotImplementedError):  # NotImplementedError: a compressed point
        raise KeyRefused(
            "The passphrase is wrong, or the key is damaged."
            if password
            else "The key can’t be read: it’s damaged, or of a kind that can’t sign here."
        ) from None
    if (head := PKCS8.search(text)) and ID_RSASSA_PSS in base64.b64decode(head[1]):
        raise KeyRefused("The key is for RSA-PSS only, and RS256 isn’t that.")
    return _judged(key)


def _judged(key: object) -> PrivateKey:
    """Return ``key`` if its kind, size and exponent are allowed.

    Raises:
        KeyRefused: they are not allowed.
    """
    match key:
        case RSAPrivateKey():
            if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
                sentence = f"RSA keys have {LEAST_RSA_BITS} to {MOST_RSA_BITS} bits here"
                raise KeyRefused(f"{sentence}, and this one has {key.key_size}.")
            exponent = key.public_key().public_numbers().e
            if exponent < LEAST_EXPONENT or exponent % 2 == 0:
                raise KeyRefused(
                    f"The exponent of an RSA key is odd and at least {LEAST_EXPONENT}."
                )
            return key
        case EllipticCurvePrivateKey():
            if not isinstance(key.curve, SECP256R1):
                raise KeyRefused(f"The curve is P-256 here, and this one is {key.curve.name}.")
            return key
        case Ed25519PrivateKey():
            return key
    raise KeyRefused(UNSUPPORTED)


def algorithm_of(key: PrivateKey | PublicKey) -> str:
    """Return the only algorithm to use with ``key`` (RFC 8725 section 3.1)."""
    if isinstance(key, RSAPrivateKey | RSAPublicKey):
        return "RS256"
    is_elliptic = isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey)
    return "ES256" if is_elliptic else "EdDSA"


def public_jwk(key: PrivateKey) -> Jwk:
    """Return the public half of ``key`` as a JWK (RFC 7517); its ``kid`` is the thumbprint."""
    return written(key.public_key())


def written(key: PublicKey) -> Jwk:
    """Return the public key ``key`` as a JWK (RFC 7517); its ``kid`` is the thumbprint."""
    from jwt import get_algorithm_by_name  # noqa: PLC0415 commands rarely need it

    algorithm = algorithm_of(key)
    members = get_algorithm_by_name(algorithm).to_jwk(key, as_dict=True)
    jwk = {name: members[name] for name in MEMBERS[members["kty"]]}
    return {**jwk, "kid": thumbprint(jwk), "use": "sig", "alg": algorithm}


def public_key(jwk: Jwk) -> PublicKey:
    """Parse the public key ``jwk``."""
    from jwt import PyJWK  # noqa: PLC0415 commands rarely need it

    key: PublicKey = PyJWK(jwk).key
    return key


def checked_public_key(jwk: Jwk) -> PublicKey:
    """Parse and check the public key ``jwk`` of an app.

    Raises:
        ValueError: the key is malformed, weak, or so unusual that verifying with it takes long.
    """
    from jwt import PyJWTError  # noqa: PLC0415 commands rarely need it

    try:
        key = public_key(jwk)
    except PyJWTError:
        raise ValueError from None
    if isinstance(key, RSAPublicKey):
        has_usual_size = LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS
        if not has_usual_size or key.public_numbers().e != LEAST_EXPONENT:
            raise ValueError
    return key


def thumbprint(jwk: Jwk) -> str:
    """Return the SHA-256 thumbprint of ``jwk`` in base64url (RFC 7638)."""
    members = {name: jwk[name] for name in MEMBERS[jwk["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return crypto.encode(sha256(text.encode()).digest())


def to_pem(key: PrivateKey) -> str:
    """Return ``key`` as unencrypted PKCS#8. The caller must encrypt the text before storing it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
