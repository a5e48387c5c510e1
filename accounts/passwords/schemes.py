"""Computes password hashes of other systems, with bounded time and memory for each hash.

Without bounds, a hostile export could contain hashes that take all memory, or minutes, at a
sign-in.

Passwords are hashed as typed, without conversion to normal form C: the other systems did not
convert them either, and trying both forms would cost two hashes.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import bcrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MEBIBYTE = 1 << 20
# PHP's default is 64 MiB, Django's 100 MiB with 2 passes and 8 lanes.
MOST_ARGON2_KIB = 128 * 1024
MOST_ARGON2_KIB_TIMES_PASSES = 512 * 1024
MOST_LANES = 16
# Django's default is 1,500,000 iterations, which take 400 ms.
MOST_ITERATIONS = 3_000_000
# OWASP recommends 220,000 iterations with SHA-512. Old systems have used 1,000 to 27,500.
FEWEST_STRONG_ITERATIONS = 100_000
MOST_SCRYPT_BYTES = 64 * MEBIBYTE
MOST_SCRYPT_WORK = 1 << 20
# A bcrypt hash of cost 14 takes a second.
BCRYPT_COSTS = range(4, 15)
BCRYPT_BYTES = 72
PHPASS_COSTS = range(7, 17)
# libpass computes these in Python: 200,000 rounds take 300 ms.
CRYPT_ROUNDS = range(1000, 200_001)
CRYPT_TEXT = re.compile(rb"[./0-9A-Za-z]*")
MOST_SALT_BYTES = 256
# With a shorter digest, many passwords would match.
FEWEST_DIGEST_BYTES = 16
DIGESTS = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
FILLER = b"."


@dataclass(frozen=True)
class ForeignHash:
    """A password hash of another system.

    ``str(…)`` is its stored form: ``scheme$costs$salts$digest``, where salts and digest are in
    base64. Bcrypt's and crypt's salts and digests are the ASCII characters of their own alphabets.

    ``salts``: the salts and, for some schemes, secrets of the other system.
    """

    scheme: str
    costs: tuple[int, ...]
    salts: tuple[bytes, ...]
    digest: bytes

    def __str__(self) -> str:
        costs = ",".join(map(str, self.costs))
        salts = ".".join(map(_encode, self.salts))
        return f"{self.scheme}${costs}${salts}${_encode(self.digest)}"

    @classmethod
    def read(cls, text: str) -> "ForeignHash":
        """Return the hash with the stored form ``text``.

        Raises:
            ValueError: ``text`` is damaged, or its parameters are not allowed.
        """
        scheme, costs, salts, digest = text.split("$")
        numbers = tuple(map(to_int, costs.split(","))) if costs else ()
        return cls(
            scheme, numbers, tuple(map(_decode, salts.split("."))), _decode(digest)
        ).checked()

    def checked(self) -> "ForeignHash":
        """Return this hash if it is valid.

        Raises:
            ValueError: the scheme is unknown, or the parameters are wrong or too expensive.
        """
        scheme = SCHEMES.get(self.scheme)
        if scheme is None:
            raise ValueError(f"the scheme {self.scheme!r} is unknown")
        sizes = len(self.costs), len(self.salts)
        has_sizes = (
            all(len(salt) <= MOST_SALT_BYTES for salt in self.salts)
            and len(self.digest) >= FEWEST_DIGEST_BYTES
        )
        if sizes != scheme.sizes or not has_sizes or not scheme.fits(self):
            raise ValueError(f"the parameters of {self.scheme} are wrong, or cost too much")
        return self

    @property
    def is_weak(self) -> bool:
        """Whether guessing is so cheap that the hash must be stored encrypted or wrapped."""
        return SCHEMES[self.scheme].is_weak(self)

    @property
    def has_secret(self) -> bool:
        """Whether ``salts`` contains a secret of the other system."""
        return SCHEMES[self.scheme].has_secret

    @property
    def without_digest(self) -> "ForeignHash":
        """This hash with another digest of the same length, which no password has."""
        return replace(self, digest=FILLER * len(self.digest))

    @property
    def blank(self) -> "ForeignHash":
        """A hash with the same cost as this one, without its salts, secrets and digest."""
        salts = tuple(FILLER * len(salt) for salt in self.salts)
        return replace(self.without_digest, salts=salts)

    def compute(self, password: str) -> bytes:
        """Return the digest of ``password`` with the costs and salts of this hash."""
        return SCHEMES[self.scheme].compute(self, password.encode())

    def matches(self, password: str) -> bool:
        """Return whether this is the hash of ``password``."""
        return hmac.compare_digest(self.compute(password), self.digest)


@dataclass(frozen=True)
class Scheme:
    """A method to hash passwords.

    ``sizes``: the number of cost parameters and of salts of its hashes.
    ``fits``: returns whether the parameters of a hash are allowed.
    ``compute``: returns the digest of a password.
    """

    sizes: tuple[int, int]
    fits: Callable[[ForeignHash], bool]
    compute: Callable[[ForeignHash, bytes], bytes]
    is_weak: Callable[[ForeignHash], bool] = lambda _hash: False
    has_secret: bool = False


def to_int(text: str) -> int:
    """Parse a decimal number.

    Raises:
        ValueError: ``text`` has other characters or more than ten digits.
    """
    if not re.fullmatch("[0-9]{1,10}", text):
        raise ValueError("a parameter is not a number, or is too large")
    return int(text)


def argon2_fits(kib: int, passes: int, lanes: int) -> bool:
    """Return whether these cost parameters of Argon2 are allowed (RFC 9106 section 3.1)."""
    return (
        1 <= lanes <= MOST_LANES
        and 8 * lanes <= kib <= MOST_ARGON2_KIB
        and 1 <= passes <= MOST_ARGON2_KIB_TIMES_PASSES // kib
    )


def _argon2(kind: str) -> Scheme:
    def fits(hashed: ForeignHash) -> bool:
        version, *costs = hashed.costs
        (salt,) = hashed.salts
        is_valid = version in {16, 19} and len(salt) >= 8 and 4 <= len(hashed.digest) <= 64
        return is_valid and argon2_fits(*costs)

    def compute(hashed: ForeignHash, password: bytes) -> bytes:
        from argon2.low_level import Type, hash_secret_raw  # noqa: PLC0415 loaded when needed

        version, kib, passes, lanes = hashed.costs
        size, type_ = len(hashed.digest), Type[kind.upper()]
        (salt,) = hashed.salts
        return hash_secret_raw(password, salt, passes, kib, lanes, size, type_, version)

    return Scheme((4, 1), fits, compute)


def _pbkdf2(name: str) -> Scheme:
    def fits(hashed: ForeignHash) -> bool:
        blocks = -(-len(hashed.digest) // DIGESTS[name])
        return 1 <= hashed.costs[0] * blocks <= MOST_ITERATIONS

    def compute(hashed: ForeignHash, password: bytes) -> bytes:
        return hashlib.pbkdf2_hmac(
            name, password, hashed.salts[0], hashed.costs[0], len(hashed.digest)
        )

    return Scheme(
        (1, 1), fits, compute, is_weak=lambda hashed: hashed.costs[0] < FEWEST_STRONG_ITERATIONS
    )


def _is_allowed_scrypt(n: int, r: int, p: int) -> bool:
    return (
        n > 1
        and n & (n - 1) == 0
        and r >= 1
        and p >= 1
        and 128 * n * r <= MOST_SCRYPT_BYTES
        and n * r * p <= MOST_SCRYPT_WORK
        # A limit of the algorithm (RFC 7914 section 6).
        and n.bit_length() <= 16 * r
    )


def _scrypt(password: bytes, salt: bytes, costs: tuple[int, int, int], size: int) -> bytes:
    n, r, p = costs
    most = MOST_SCRYPT_BYTES + MOST_SCRYPT_WORK * 128 + MEBIBYTE
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=most, dklen=size)


def _fits_scrypt(hashed: ForeignHash) -> bool:
    n, r, p = hashed.costs
    return _is_allowed_scrypt(n, r, p) and 1 <= len(hashed.digest) <= 64


def _compute_scrypt(hashed: ForeignHash, password: bytes) -> bytes:
    n, r, p = hashed.costs
    return _scrypt(password, hashed.salts[0], (n, r, p), len(hashed.digest))


def _fits_firebase(hashed: ForeignHash) -> bool:
    rounds, mem_cost = hashed.costs
    has_sizes = len(hashed.digest) == len(hashed.salts[0]) > 0
    return has_sizes and mem_cost <= 20 and _is_allowed_scrypt(1 << mem_cost, rounds, 1)


def _compute_firebase(hashed: ForeignHash, password: bytes) -> bytes:
    """Encrypt Firebase's signer key with a key from scrypt (github.com/firebase/scrypt)."""
    rounds, mem_cost = hashed.costs
    signer, separator, salt = hashed.salts
    key = _scrypt(password, salt + separator, (1 << mem_cost, rounds, 1), 32)
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(signer) + encryptor.finalize()


def _bcrypt(
    prepare: Callable[[ForeignHash, bytes], bytes], *, salts: int = 1, has_secret: bool = False
) -> Scheme:
    def fits(hashed: ForeignHash) -> bool:
        is_text = re.fullmatch(rb"[./A-Za-z0-9]{21}[.Oeu]", hashed.salts[-1]) is not None
        return is_text and len(hashed.digest) == 31 and hashed.costs[0] in BCRYPT_COSTS

    def compute(hashed: ForeignHash, password: bytes) -> bytes:
        salt = b"$2b$%02d$%s" % (hashed.costs[0], hashed.salts[-1])
        # Bcrypt ignores further bytes, and this library refuses them.
        return bcrypt.hashpw(prepare(hashed, password)[:BCRYPT_BYTES], salt)[-31:]

    return Scheme((1, salts), fits, compute, has_secret=has_secret)


def _as_wordpress(_hash: ForeignHash, password: bytes) -> bytes:
    """Prepare a password in the same way as ``wp_hash_password`` of WordPress 6.8 and later."""
    trimmed = password.strip(b" \t\n\r\0\x0b")
    return base64.b64encode(hmac.digest(b"wp-sha384", trimmed, "sha384"))


def _crypt(name: str, fits: Callable[[ForeignHash], bool], costs: int) -> Scheme:
    """Return the scheme ``name`` of libpass. All schemes of libpass count as weak."""

    def compute(hashed: ForeignHash, password: bytes) -> bytes:
        from passlib import hash as libpass  # noqa: PLC0415 loaded when needed

        settings = {"rounds": hashed.costs[0]} if costs else {}
        handler = getattr(libpass, name).using(salt=hashed.salts[0].decode(), **settings)
        # Like crypt(3), these schemes ignore everything after a zero byte.
        text: str = handler.hash(password.split(b"\0")[0])
        return text[-len(hashed.digest) :].encode()

    def fits_text(hashed: ForeignHash) -> bool:
        is_text = CRYPT_TEXT.fullmatch(hashed.salts[0]) and CRYPT_TEXT.fullmatch(hashed.digest)
        return bool(is_text) and fits(hashed)

    return Scheme((costs, 1), fits_text, compute, is_weak=lambda _hash: True)


def _fits_phpass(hashed: ForeignHash) -> bool:
    sizes = len(hashed.salts[0]), len(hashed.digest)
    return sizes == (8, 22) and hashed.costs[0] in PHPASS_COSTS


def _fits_md5_crypt(hashed: ForeignHash) -> bool:
    return len(hashed.salts[0]) <= 8 and len(hashed.digest) == 22


def _sha_crypt(name: str, size: int) -> Scheme:
    def fits(hashed: ForeignHash) -> bool:
        has_sizes = len(hashed.salts[0]) <= 16 and len(hashed.digest) == size
        return has_sizes and hashed.costs[0] in CRYPT_ROUNDS

    return _crypt(name, fits, 1)


def _plain(name: str) -> Scheme:
    """Return the scheme that computes one digest of a salt, the password and another salt."""

    def compute(hashed: ForeignHash, password: bytes) -> bytes:
        before, after = hashed.salts
        return hashlib.new(name, before + password + after, usedforsecurity=False).digest()

    def fits(hashed: ForeignHash) -> bool:
        return len(hashed.digest) == DIGESTS[name]

    return Scheme((0, 2), fits, compute, is_weak=lambda _hash: True)


SCHEMES = {
    **{f"argon2-{kind}": _argon2(kind) for kind in ("i", "d", "id")},
    **{f"pbkdf2-{name}": _pbkdf2(name) for name in DIGESTS},
    "scrypt": Scheme((3, 1), _fits_scrypt, _compute_scrypt),
    # Salts: the signer key, the salt separator and the user's salt.
    "firebase": Scheme((2, 3), _fits_firebase, _compute_firebase, has_secret=True),
    "bcrypt": _bcrypt(lambda _hash, password: password),
    "bcrypt-sha256": _bcrypt(lambda _hash, password: hashlib.sha256(password).hexdigest().encode()),
    "bcrypt-wordpress": _bcrypt(_as_wordpress),
    # Salts: the pepper of Devise, which follows the password, and the salt.
    "bcrypt-pepper": _bcrypt(
        lambda hashed, password: password + hashed.salts[0], salts=2, has_secret=True
    ),
    "phpass": _crypt("phpass", _fits_phpass, 1),
    "md5-crypt": _crypt("md5_crypt", _fits_md5_crypt, 0),
    "apr-md5-crypt": _crypt("apr_md5_crypt", _fits_md5_crypt, 0),
    "sha256-crypt": _sha_crypt("sha256_crypt", 43),
    "sha512-crypt": _sha_crypt("sha512_crypt", 86),
    **{name: _plain(name) for name in DIGESTS},
}


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
