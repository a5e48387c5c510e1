"""Password hashes of other systems. That of phpass is from its own test."""

import unicodedata

import pytest
from django.contrib.auth import hashers as django_hashers

from accounts.passwords import foreign, notations
from accounts.passwords import services as passwords
from accounts.users.models import LOCKED, User, locked_password
from tests.support.config import encryption_key
from tests.support.foreign_hashes import (
    BCRYPT,
    IN_PARTS,
    NOTATIONS,
    SHA256,
    SHA256_KEY,
    SHA512_KEY,
    TYPED,
    imported,
    is_exact,
    of_firebase,
    of_keycloak,
    of_keycloak_argon2,
    works,
)
from tests.support.signin import set_up
from tests.support.steps import WRONG, make_user, sign_in

OF_DJANGO = ("PBKDF2", "PBKDF2SHA1", "BCryptSHA256", "BCrypt", "Scrypt", "MD5")


def by_django(name, typed):
    """Return a cheap hash of Django's hasher with this name."""
    hasher = getattr(django_hashers, f"{name}PasswordHasher")()
    hasher.rounds, hasher.iterations = 4, 1000
    return hasher.encode(typed, hasher.salt())


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_the_hash_of_another_program_is_that_of_its_password_only(notation):
    assert is_exact(foreign.accept(notation))


@pytest.mark.parametrize("found", IN_PARTS.values(), ids=IN_PARTS)
def test_a_hash_in_several_parts_is_that_of_its_password_only(found):
    assert is_exact(foreign.accept(found()))


@pytest.mark.parametrize("name", OF_DJANGO)
def test_every_hasher_of_django_is_understood(name):
    assert is_exact(foreign.accept(by_django(name, TYPED)))


def test_hashes_of_phpass_and_of_long_passwords_are_understood():
    """Bcrypt ignores what follows 72 bytes, here in the middle of a character."""
    assert is_exact(foreign.accept("$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"), "test12345")
    bcrypt = foreign.accept("$2b$04$VtlKTyKhWzFC9j1o44QNP.azFTDGtKIcRN/TsfRpVjPOI0kRJNjua")
    assert is_exact(bcrypt, "x" * 71 + "äy")
    assert passwords.verify("x" * 71 + "äz", bcrypt)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_password_is_compared_as_the_other_system_hashed_it(form):
    typed = unicodedata.normalize(form, TYPED)

    assert is_exact(foreign.accept(by_django("BCrypt", typed)), typed)


HOSTILE = {
    "bcrypt of cost 31": lambda: BCRYPT.replace("04", "31"),
    "bcrypt without salt": lambda: "$2b$04$" + "?" * 53,
    "bcrypt 2x": lambda: BCRYPT.replace("2b", "2x"),
    "4 GiB of memory": lambda: NOTATIONS["argon2"].replace("4096", "4194304"),
    "2^31 passes": lambda: NOTATIONS["argon2"].replace("t=1", "t=2147483648"),
    "too little memory for its lanes": lambda: NOTATIONS["argon2"].replace("p=1", "p=1000"),
    "an unknown version": lambda: NOTATIONS["argon2"].replace("v=19", "v=99"),
    "a negative cost": lambda: NOTATIONS["argon2"].replace("t=1", "t=-1"),
    "digits of other scripts": lambda: NOTATIONS["argon2"].replace("t=1", "t=\u0661"),
    "2^31 iterations": lambda: f"pbkdf2_sha256$2147483648$salt${SHA256_KEY}",
    "no iterations": lambda: f"pbkdf2_sha256$0$salt${SHA256_KEY}",
    "no digest": lambda: "pbkdf2_sha256$1000$salt$===",
    "a huge digest": lambda: f"pbkdf2_sha256$3000000$salt${SHA256_KEY}",
    "a huge salt": lambda: f"pbkdf2_sha256$1000${'s' * 300}${SHA256_KEY}",
    "wrong base64": lambda: "pbkdf2_sha256$1000$salt$%%%%",
    "scrypt with 4 GiB": lambda: f"scrypt$4194304$salt$8$1${SHA512_KEY}",
    "scrypt with no power of two": lambda: f"scrypt$1000$salt$8$1${SHA512_KEY}",
    "scrypt of 2^63": lambda: NOTATIONS["scrypt of passlib"].replace("ln=10", "ln=63"),
    "phpass of cost 30": lambda: "$P$SIQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0",
    "a billion rounds": lambda: NOTATIONS["sha512-crypt"].replace("$6$", "$6$rounds=999999999$"),
    "a salt that is no text": lambda: NOTATIONS["md5-crypt"].replace("abc", "ä\0c"),
    "an LDAP hash without its salt": lambda: "{SSHA}" + NOTATIONS["LDAP"][6:30],
    "a digest of the wrong length": lambda: "md5$salt$" + SHA256,
    "a digest of an unknown length": lambda: "a" * 34,
    "a megabyte": lambda: "$2b$04$" + "a" * 1_000_000,
    "nothing": lambda: "",
    "a zero byte": lambda: BCRYPT + "\0",
    "Firebase with 1 TiB": lambda: of_firebase(mem_cost=31),
    "Firebase without its signer key": lambda: of_firebase(signer_key=""),
    "Keycloak with 2^31 iterations": lambda: of_keycloak(iterations=2**31),
    "Keycloak with an unknown algorithm": lambda: of_keycloak("md4"),
    "Keycloak with a broken text": lambda: notations.keycloak("{", "{}"),
    "Keycloak without salt": lambda: notations.keycloak('{"algorithm":"x"}', "[]"),
    "Keycloak with 4 GiB": lambda: of_keycloak_argon2(memory="4194304"),
    "Keycloak with an unknown type": lambda: of_keycloak_argon2(type="x"),
    "ASP.NET with an unknown PRF": lambda: notations.aspnet("AQAAAAkAAAPoAAAAEAAB" + "A" * 64),
    "ASP.NET with a huge salt length": lambda: notations.aspnet("AQAAAAEAAAPo/////w" + "A" * 64),
    "ASP.NET, cut off": lambda: notations.aspnet("AQAA"),
    "a pepper for another scheme": lambda: notations.peppered(SHA256, "pepper"),
    "a huge pepper": lambda: notations.peppered(BCRYPT, "p" * 257),
    "a pepper that does not fit": lambda: notations.peppered(BCRYPT, "p" * 250),
}


def test_a_damaged_or_expensive_hash_is_refused():
    """Withstands a hostile file."""
    for found in HOSTILE.values():
        with pytest.raises(ValueError, match=r"\w"):
            foreign.accept(found())


BLANK = "Li4uLi4uLi4uLi4uLi4uLg=="
STORED = [
    f"foreign$argon2-id$19,4194304,1,1${BLANK}${BLANK}",
    f"argon2$argon2id$v=19$m=4194304,t=1,p=1${BLANK[:22]}${BLANK[:22]}",
    f"foreign$bcrypt$31${BLANK}${BLANK}",
    f"foreign$scrypt$2,8${BLANK}${BLANK}",
    f"foreign$rot13$1${BLANK}${BLANK}",
    f"foreign$pbkdf2-sha256$-1${BLANK}$%",
    "foreign$" + "$" * 500,
    "sealed$gAAAAA",
    f"wrapped$md5$$.${BLANK}",
]


@pytest.mark.parametrize("stored", STORED)
def test_a_stored_hash_that_is_damaged_or_expensive_is_a_wrong_password(client, stored):
    alice = make_user("alice", password=None)
    User.objects.update(password=stored)
    alice.refresh_from_db()

    assert not alice.has_usable_password()
    assert "isn’t right" in sign_in(client, "alice").text


def test_a_hash_is_renewed_by_the_first_sign_in_and_by_nothing_else():
    alice = imported(BCRYPT)
    before = alice.password

    assert alice.has_usable_password()
    assert not works(alice, WRONG)
    assert alice.password == before
    assert works(alice)
    assert alice.password.startswith("argon2$argon2id$")
    assert works(alice)


def test_the_longest_hash_still_proves_ownership_of_a_locked_account():
    hashed = foreign.accept(of_firebase())
    locked = locked_password(hashed)

    assert locked == LOCKED + hashed
    assert len(locked) <= User._meta.get_field("password").max_length


WEAK = (SHA256, NOTATIONS["LDAP"], "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0")


def test_weak_hashes_and_secrets_of_other_systems_are_stored_encrypted():
    """Withstands a thief with the database."""
    for found in (*WEAK, of_firebase(), IN_PARTS["Devise"]()):
        assert foreign.accept(found).startswith("sealed$")
    assert foreign.accept(BCRYPT).startswith("foreign$bcrypt$")


def test_hashes_move_to_another_site_of_this_kind(settings):
    stored = [foreign.accept(found) for found in (SHA256, BCRYPT, of_firebase())]
    stored += [foreign.wrap(stored[0]), passwords.hash_password(TYPED)]
    moved = [foreign.portable(encoded) for encoded in stored]
    assert foreign.portable(LOCKED + stored[0]) == LOCKED + moved[0]
    set_up(settings, encryption_keys=(encryption_key(),))

    accepted = [foreign.accept_portable(encoded) for encoded in moved]

    assert all(map(is_exact, accepted))
    assert [text.split("$")[0] for text in accepted] == [text.split("$")[0] for text in stored]
    for unusable in ("!", stored[0], *STORED):
        with pytest.raises(ValueError, match="no password"):
            foreign.accept_portable(unusable)
