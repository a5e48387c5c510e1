"""Parses the notations in which other systems export password hashes.

:func:`parse` parses hashes that are complete in one text: those of Django, allauth, Auth0,
Supabase, WordPress, Laravel and Rails, crypt(3), LDAP, Werkzeug, passlib and the PHC string format.
Other exports have a hash in several parts, and each has its own function.

Every function raises ``ValueError``, with the reason, if it cannot parse a hash, or if the hash
costs more than ``accounts.passwords.schemes`` allows.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping

from accounts.passwords.schemes import DIGESTS, ForeignHash, to_int

LONGEST = 1024
# The name of an algorithm by the length of its digest in hexadecimal.
_BY_LENGTH = {2 * size: name for name, size in DIGESTS.items()}
_PRFS = ("sha1", "sha256", "sha512")
_ASPNET_V2_SALT = slice(1, 17)
_ASPNET_V3_HEADER = 13


def parse(notation: str) -> ForeignHash:
    """Return the hash that ``notation`` describes."""
    if len(notation) > LONGEST:
        raise ValueError(f"a hash has at most {LONGEST} characters")
    for pattern, build in NOTATIONS.items():
        if match := pattern.fullmatch(notation):
            return build(match.groupdict(default="")).checked()
    raise ValueError("this notation of a hash is unknown")


def peppered(notation: str, pepper: str) -> ForeignHash:
    """Return Devise's bcrypt hash of a password followed by ``pepper``."""
    plain = parse(notation)
    if plain.scheme != "bcrypt":
        raise ValueError("only bcrypt hashes have a pepper")
    salts = (pepper.encode(), *plain.salts)
    return ForeignHash("bcrypt-pepper", plain.costs, salts, plain.digest).checked()


def firebase(
    password_hash: str,
    salt: str,
    *,
    signer_key: str,
    salt_separator: str,
    rounds: int,
    mem_cost: int,
) -> ForeignHash:
    """Return a hash of Firebase. All texts are in base64, as Firebase exports them."""
    salts = tuple(from_base64(text) for text in (signer_key, salt_separator, salt))
    digest = from_base64(password_hash)
    return ForeignHash("firebase", (rounds, mem_cost), salts, digest).checked()


def keycloak(credential_data: str, secret_data: str) -> ForeignHash:
    """Return a hash of Keycloak. The arguments are members of a credential: JSON texts."""
    try:
        credential, secret = json.loads(credential_data), json.loads(secret_data)
        algorithm, iterations = credential["algorithm"], int(credential["hashIterations"])
        salt, digest = (from_base64(secret[name]) for name in ("salt", "value"))
        if algorithm == "argon2":
            return _keycloak_argon2(credential["additionalParameters"], iterations, salt, digest)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"the credential is incomplete: {error}") from None
    names = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}
    if algorithm not in names:
        raise ValueError(f"the algorithm {algorithm!r} of Keycloak is unknown")
    return ForeignHash(f"pbkdf2-{names[algorithm]}", (iterations,), (salt,), digest).checked()


def _keycloak_argon2(
    parameters: Mapping[str, list[str]], passes: int, salt: bytes, digest: bytes
) -> ForeignHash:
    version = {"1.0": 16, "1.3": 19}[parameters["version"][0]]
    kib, lanes = (to_int(parameters[name][0]) for name in ("memory", "parallelism"))
    scheme = f"argon2-{parameters['type'][0]}"
    return ForeignHash(scheme, (version, kib, passes, lanes), (salt,), digest).checked()


def aspnet(text: str) -> ForeignHash:
    """Return a hash of ASP.NET Identity, version 2 or 3, from base64 text."""
    raw = from_base64(text)
    if raw[:1] == b"\x00" and len(raw) == 49:
        salt, digest = raw[_ASPNET_V2_SALT], raw[_ASPNET_V2_SALT.stop :]
        return ForeignHash("pbkdf2-sha1", (1000,), (salt,), digest).checked()
    if raw[:1] != b"\x01" or len(raw) < _ASPNET_V3_HEADER:
        raise ValueError("this is no hash of ASP.NET Identity")
    prf, iterations, size = (int.from_bytes(raw[at : at + 4]) for at in (1, 5, 9))
    if prf >= len(_PRFS):
        raise ValueError("the algorithm of this hash of ASP.NET Identity is unknown")
    end = _ASPNET_V3_HEADER + size
    salt, digest = raw[_ASPNET_V3_HEADER:end], raw[end:]
    return ForeignHash(f"pbkdf2-{_PRFS[prf]}", (iterations,), (salt,), digest).checked()


def clerk(hasher: str, digest: str, pepper: str = "") -> ForeignHash:
    """Return a hash of Clerk: ``digest`` in the notation that Clerk calls ``hasher``."""
    parts = digest.split("$")
    if hasher == "bcrypt_peppered":
        return peppered(digest, pepper)
    if hasher == "scrypt_firebase" and len(parts) == 6:
        hashed, salt, signer, separator, *costs = parts
        rounds, mem_cost = map(to_int, costs)
        return firebase(
            hashed,
            salt,
            signer_key=signer,
            salt_separator=separator,
            rounds=rounds,
            mem_cost=mem_cost,
        )
    if hasher in {"pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512"} and len(parts) == 4:
        _name, iterations, salt, hashed = parts
        is_hex = hasher == "pbkdf2_sha1"
        key = from_hex(hashed) if is_hex else from_base64(hashed)
        salt_bytes = salt.encode() if is_hex else from_base64(salt)
        scheme = hasher.replace("_", "-")
        return ForeignHash(scheme, (to_int(iterations),), (salt_bytes,), key).checked()
    return parse(digest)


def from_base64(text: str) -> bytes:
    """Decode base64 text, with or without padding, or passlib's variant of it."""
    try:
        padding = "=" * (-len(text) % 4)
        return base64.b64decode(text.replace(".", "+") + padding, validate=True)
    except binascii.Error as error:
        raise ValueError(f"wrong base64: {error}") from None


def from_hex(text: str) -> bytes:
    """Decode hexadecimal text."""
    return bytes.fromhex(text)


type _Fields = Mapping[str, str]
type _Build = Callable[[_Fields], ForeignHash]


def _argon2(fields: _Fields) -> ForeignHash:
    costs = tuple(to_int(fields[name] or "16") for name in "vmtp")
    salt, digest = from_base64(fields["salt"]), from_base64(fields["digest"])
    return ForeignHash(f"argon2-{fields['kind']}", costs, (salt,), digest)


_BCRYPTS = {
    "bcrypt_sha256$": "bcrypt-sha256",
    "$wp": "bcrypt-wordpress",
}


def _bcrypt(fields: _Fields) -> ForeignHash:
    scheme = _BCRYPTS.get(fields["prefix"], "bcrypt")
    salt, digest = fields["salt"].encode(), fields["digest"].encode()
    return ForeignHash(scheme, (to_int(fields["cost"]),), (salt,), digest)


def _pbkdf2(salt: Callable[[str], bytes], digest: Callable[[str], bytes]) -> _Build:
    return lambda fields: ForeignHash(
        f"pbkdf2-{fields['name'] or 'sha1'}",
        (to_int(fields["iterations"]),),
        (salt(fields["salt"]),),
        digest(fields["digest"]),
    )


def _scrypt(salt: Callable[[str], bytes], digest: Callable[[str], bytes]) -> _Build:
    return lambda fields: ForeignHash(
        "scrypt",
        tuple(to_int(fields[name]) for name in "nrp"),
        (salt(fields["salt"]),),
        digest(fields["digest"]),
    )


def _scrypt_of_passlib(fields: _Fields) -> ForeignHash:
    n = 1 << min(to_int(fields["ln"]), 32)
    return _scrypt(from_base64, from_base64)({**fields, "n": str(n)})


def _phpass(fields: _Fields) -> ForeignHash:
    alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    cost = alphabet.find(fields["cost"])
    return ForeignHash("phpass", (cost,), (fields["salt"].encode(),), fields["digest"].encode())


def _crypt(fields: _Fields) -> ForeignHash:
    names = {"1": "md5", "apr1": "apr-md5", "5": "sha256", "6": "sha512"}
    # The default number of rounds of the SHA schemes (akkadia.org/drepper/SHA-crypt.txt).
    costs = (to_int(fields["rounds"] or "5000"),) if fields["kind"] in "56" else ()
    salt, digest = fields["salt"].encode(), fields["digest"].encode()
    return ForeignHash(f"{names[fields['kind']]}-crypt", costs, (salt,), digest)


def _ldap(fields: _Fields) -> ForeignHash:
    name = fields["name"].lower()
    name, raw = {"sha": "sha1"}.get(name, name), from_base64(fields["digest"])
    size = DIGESTS[name]
    if bool(fields["salted"]) != (len(raw) > size):
        raise ValueError("an LDAP hash has the wrong length")
    return ForeignHash(name, (), (b"", raw[size:]), raw[:size])


def _plain(fields: _Fields) -> ForeignHash:
    digest = from_hex(fields["digest"])
    name = _BY_LENGTH.get(2 * len(digest), "")
    if fields["name"] not in {"", name}:
        raise ValueError("a digest has the wrong length")
    return ForeignHash(name, (), (fields["salt"].encode(), b""), digest)


def _of(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | re.VERBOSE)


_REST = r"\$ (?P<salt>[^$]*) \$ (?P<digest>[^$]+)"
_HEX = r"\$ (?P<salt>[^$]*) \$ (?P<digest>[0-9a-fA-F]+)"
_NAME = "(?P<name>md5|sha1|sha224|sha256|sha384|sha512)"

NOTATIONS: dict[re.Pattern[str], _Build] = {
    _of(
        rf"(argon2)? \$argon2(?P<kind>id|i|d) (\$v=(?P<v>\d+))? "
        rf"\$m=(?P<m>\d+),t=(?P<t>\d+),p=(?P<p>\d+) {_REST}"
    ): _argon2,
    _of(
        r"(?P<prefix> bcrypt\$ | bcrypt_sha256\$ | \$wp | \{CRYPT\} | \{BCRYPT\} )? "
        r"\$2[aby]\$ (?P<cost>\d\d) \$ (?P<salt>.{22}) (?P<digest>[./A-Za-z0-9]{31})"
    ): _bcrypt,
    _of(rf"pbkdf2_{_NAME} \$ (?P<iterations>\d+) {_REST}"): _pbkdf2(str.encode, from_base64),
    _of(rf"\$pbkdf2 (-{_NAME})? \$ (?P<iterations>\d+) {_REST}"): _pbkdf2(from_base64, from_base64),
    _of(rf"pbkdf2:{_NAME}: (?P<iterations>\d+) {_HEX}"): _pbkdf2(str.encode, from_hex),
    _of(
        r"scrypt \$ (?P<n>\d+) \$ (?P<salt>[^$]*) \$ (?P<r>\d+) \$ (?P<p>\d+) \$ (?P<digest>[^$]+)"
    ): _scrypt(str.encode, from_base64),
    _of(rf"scrypt:(?P<n>\d+):(?P<r>\d+):(?P<p>\d+) {_HEX}"): _scrypt(str.encode, from_hex),
    _of(rf"\$scrypt\$ln=(?P<ln>\d+),r=(?P<r>\d+),p=(?P<p>\d+) {_REST}"): _scrypt_of_passlib,
    _of(r"\$[PH]\$ (?P<cost>.) (?P<salt>.{8}) (?P<digest>.{22})"): _phpass,
    _of(
        r"(\{CRYPT\})? \$(?P<kind>1|5|6|apr1)\$ (rounds=(?P<rounds>\d+)\$)? "
        r"(?P<salt>[^$]*) \$ (?P<digest>[^$]+)"
    ): _crypt,
    _of(
        r"\{(?P<salted>S)?(?P<name>SHA|SHA224|SHA256|SHA384|SHA512|MD5)\} (?P<digest>[^$]+)"
    ): _ldap,
    _of(rf"{_NAME} {_HEX}"): _plain,
    _of(r"(?P<name>)(?P<salt>)(?P<digest>[0-9a-fA-F]{32,128})"): _plain,
}
