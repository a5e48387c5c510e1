"""The cost of a sign-in with a login that does not exist, on a site with imported hashes."""

from collections import Counter

import pytest

from accounts.passwords import foreign, mix
from accounts.passwords import services as passwords
from accounts.passwords.hashers import Argon2id
from accounts.passwords.models import HashKind
from accounts.passwords.notations import parse
from accounts.users.models import User, hasher_of, locked_password
from tests.support.foreign_hashes import BCRYPT, IN_PARTS, NOTATIONS, SHA256, imported, works
from tests.support.steps import WRONG, make_user

LOGINS = [f"stranger{n}" for n in range(2000)]


@pytest.fixture(autouse=True)
def forgotten():
    yield
    mix._mix = mix.Mix()


def known(*, own, bcrypt, sealed, before=(0, 0)):
    """Store and read a mix with these numbers of accounts; ``before`` are the highest ones."""
    HashKind.objects.all().delete()
    kinds = [("", "argon2", own, own)]
    kinds.append((parse(BCRYPT).blank, "foreign", bcrypt, max(before[0], bcrypt)))
    kinds.append((parse(SHA256).blank, "sealed", sealed, max(before[1], sealed)))
    for blank, form, left, most in kinds:
        HashKind.objects.create(blank=str(blank), form=form, left=left, most=most)
    mix.refresh()


def algorithms():
    return [mix.dummy_hash(login).split("$")[0] for login in LOGINS]


def test_logins_without_an_account_cost_what_the_hashes_of_members_cost():
    known(own=600, bcrypt=300, sealed=100)

    shares = Counter(algorithms())

    assert algorithms() == algorithms(), "each login costs the same every time"
    for algorithm, share in {"argon2": 0.6, "foreign": 0.3, "sealed": 0.1}.items():
        assert abs(shares[algorithm] / len(LOGINS) - share) < 0.06, algorithm


def test_a_login_leaves_its_kind_for_new_hashes_only_as_members_do():
    known(own=500, bcrypt=300, sealed=200)
    first = algorithms()
    known(own=900, bcrypt=200, sealed=20, before=(300, 200))
    second = algorithms()

    assert {change for change in zip(first, second, strict=True) if change[0] != change[1]} == {
        ("foreign", "argon2"),
        ("sealed", "argon2"),
    }
    known(own=1000, bcrypt=0, sealed=0, before=(300, 200))
    assert set(algorithms()) == {"argon2"}


def test_on_a_site_without_imported_hashes_every_login_costs_a_new_hash():
    make_user("alice")
    make_user("bob", password=None)
    mix.store()
    mix.refresh()

    assert not HashKind.objects.exists()
    assert mix.dummy_hash("nobody") == Argon2id().dummy_hash()


def test_the_daily_job_counts_each_kind_and_forgets_them_when_all_are_renewed():
    alice, bob = imported(BCRYPT), imported(BCRYPT, "bob")
    carol = imported(SHA256, "carol")
    User.objects.filter(pk=carol.pk).update(password=locked_password(carol.password))
    make_user("mallory")

    def counted():
        mix.store()
        rows = HashKind.objects.values_list("form", "left", "most")
        return {form: numbers for form, *numbers in rows}

    assert counted() == {"argon2": [1, 1], "foreign": [2, 2], "sealed": [1, 1]}
    assert works(alice)
    assert counted() == {"argon2": [2, 2], "foreign": [1, 2], "sealed": [1, 1]}
    assert works(bob)
    assert counted()["foreign"] == [0, 2]
    carol.delete()
    assert counted() == {}


@pytest.mark.parametrize("found", [*NOTATIONS.values(), *IN_PARTS.values()])
def test_the_dummy_of_a_kind_costs_the_same_and_has_no_salt_secret_or_digest(found):
    encoded = foreign.accept(found if isinstance(found, str) else found())
    hashers = [hasher_of(encoded)]
    if wrapped := encoded.startswith("sealed$") and foreign.wrap(encoded):
        hashers.append(hasher_of(wrapped))
    for hasher, text in zip(hashers, (encoded, wrapped), strict=False):
        real, (blank, form) = hasher.read(text), hasher.kind(text)
        dummy = hasher.dummy(blank)

        assert (hasher_of(dummy).algorithm, len(dummy)) == (form, len(text))
        read = hasher.read(dummy)
        assert (read.scheme, read.costs) == (real.scheme, real.costs)
        assert not passwords.verify(WRONG, dummy)
        assert set(b"".join([*read.salts, read.digest])) == {ord(".")}


def test_a_kind_that_this_version_cannot_read_is_left_out():
    known(own=1, bcrypt=1, sealed=1)
    HashKind.objects.filter(form="foreign").update(blank="rot13$1$$")
    HashKind.objects.filter(form="sealed").update(form="of the next version")

    mix.refresh()

    assert set(algorithms()) == {"argon2"}
