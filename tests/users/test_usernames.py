"""Usernames and email addresses."""

import json
import re
import sys
import unicodedata
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.common.text import fold
from accounts.users import emails, usernames
from accounts.users import services as users
from accounts.users.models import NameSkeleton, User, Username
from accounts.users.skeletons import Check
from accounts.users.usernames import TABLES
from tests.support.signin import set_up
from tests.support.steps import PASSWORD, make_user, sign_in, sign_up

CYRILLIC_A, GREEK_O = "\u0430", "\u03bf"


@pytest.mark.parametrize(
    "one, other",
    [("Alice", "aLICE"), ("stra\xdfe", "STRASSE"), ("\u212aelvin", "kelvin"),
     ("\xc9ric", "e\u0301ric"),
     ("\uff41\uff42", "ab"), ("\ufb01x", "fix"), ("\u1e9ee", "sse"),
     ("\u03c3\u03c2", "\u03c3\u03c3")],
)  # fmt: skip
def test_cve_2019_19844_two_spellings_of_one_username_have_one_key(one, other):
    """Withstands an impostor."""
    assert usernames.key(one) == usernames.key(other)


def test_folding_twice_changes_nothing_for_any_character():
    """Otherwise the key of one username could be chosen as a different username."""
    characters = (chr(i) for i in range(sys.maxunicode + 1))
    clean = (c for c in characters if not unicodedata.category(c).startswith("C"))

    assert [hex(ord(c)) for c in clean if fold(fold(c)) != fold(c)] == []


BAD = {
    "length": ["", "a" * 31, "\ufdfa" * 2],
    "invisible": ["a\0", "a\n", "a\u200d", "a\u202e", "\ud800", "\ue000", "\u3164", "\uffa0a"],
    "characters": ["a@b", "a b", "a/b", "<b>", "al\u0336ice", "\u0e31", "al\u01c0ce", "bo\ua4d0",
                   "\u13a1ob", "\u2170\u01c3", "l\xb7l", "a'b"],
    "scripts": [f"{CYRILLIC_A}lice", f"b{GREEK_O}b", "a\u0e01", "\u05d0\u0430", "\u30b9\u0430",
                "1\u0661", "\u0661\u06f1"],
    "marks": ["\u0e01\u0e49\u0e49", "\u0e01\u0e34\u0e35\u0e36\u0e37\u0e38",
              "\u0915\u0902\u0901\u0902"],
    "reserved": ["admin", "ADM1N", "adm1n", "adm\u0131n", "Root", "r00t", "lnfo", "acme", "Acrne",
                 ".", "..", "_-", "postmaster"],
}  # fmt: skip


def test_a_misleading_username_is_refused(settings):
    """Withstands an impostor."""
    set_up(settings, reserved_usernames=("ACME",))

    for code, names in BAD.items():
        for bad in names:
            with pytest.raises(ValidationError) as refusal:
                usernames.clean(bad)
            assert refusal.value.code == code, bad


@pytest.mark.parametrize(
    "good",
    ["a", "a" * 30, "bob_2.x-y", "\u0431\u043e\u0431", "\xe9ric", "\u674e",
     "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
     "Taro\u5c71\u3042\u30ab", "\uae40\u6797Kim", "\u0661\u0662\u0627", "\u0915\u093c\u0947\u0902"],
)  # fmt: skip
def test_an_ordinary_username_of_one_script_is_accepted(good):
    assert usernames.clean(good) == good


def test_operators_may_assign_reserved_usernames():
    assert usernames.clean("Admin", by_operator=True) == "Admin"


@pytest.mark.parametrize(
    "one, other",
    [("paypal", "paypaI"), ("PAYPAL", "paypa1"), ("modern", "modem"), ("b0b", "BOB"),
     ("Scope", "\u0455\u0441\u043e\u0440\u0435"), ("Ice", "\u0456\u0441\u0435"),
     ("mike", "m\u0131ke"), ("alice", "Al\ufe0fi\u1160ce"), ("bob", "bo\ua4d0")],
)  # fmt: skip
def test_usernames_that_look_alike_share_a_skeleton(one, other):
    assert usernames.skeletons(one) & usernames.skeletons(other)


def test_distinguishable_usernames_share_no_skeleton():
    apart = ["alice", "alicia", "eric", "\xe9ric", "bob", "bob-2", "lan", "\u674e"]
    looks = [look for name in apart for look in usernames.skeletons(name)]
    assert len(set(looks)) == len(looks)


BAD_EMAILS = [
    "m\u0131ke@example.org", "mi\u212ae@example.org", "\u017fam@example.org",
    "a@b", "a@@b.org", "a@-b.org",
    "a\r\nb@example.org", "a@ex\0ample.org", '"a b"@exam ple.org', f"a@{'b' * 250}.org",
    "a@b..org", "alice@example.org, mallory@example.org", "alice@example.org>",
    '"bob"@example.org', '"b\\ob"@example.org', "a@[127.0.0.1]",
]  # fmt: skip


def test_an_email_that_may_not_be_delivered_as_typed_is_refused():
    for bad in BAD_EMAILS:
        with pytest.raises(ValidationError):
            emails.clean(bad)


def test_a_masked_address_keeps_its_first_letter_also_in_parentheses():
    assert emails.masked("ACME (al@b.example), x@y.example") == "ACME (a…@b.example), x…@y.example"


def test_an_email_belongs_to_one_user_in_any_spelling():
    """Withstands an impostor."""
    make_user("alice")
    bob = make_user("bob")

    for twin in ("alice@example.org", "ALICE@EXAMPLE.ORG", "\uff41lice@example.org"):
        with pytest.raises(users.EmailTaken):
            users.confirm_email(bob, twin)


SUGGESTED = [
    ("Alice", "Alice"), ("Alice  Smith", "Alice-Smith"), (" alice_x.y-z ", "alice_x.y-z"),
    ("alice@example.org", "alice"), ("\U0001f980", ""), ("\U0001f980 \U0001f980", ""),
    ("Bob \U0001f980 Lee", "Bob-Lee"), ("a" * 200, "a" * 23), ("\u674e \u56db", "\u674e-\u56db"),
    (f"{CYRILLIC_A}lice", "lice"), (f"{CYRILLIC_A} {GREEK_O}", ""), ("\uff41\uff42", "ab"),
    ("al\u0336ice", "alice"), ("Al\ufe0fi\u3164ce", "Alice"), ("b\u01c0ob", "bob"), ("admin", ""),
    ("a\u202eb\0\n", "ab"), ("\ud800", ""), ("\u0e31", ""), ("", ""),
    ("e\u0301ric", "\xe9ric"),
]  # fmt: skip


def test_a_username_is_suggested_from_the_valid_characters_of_a_name():
    for called, name in SUGGESTED:
        assert usernames.suggest(called) == name, called
        assert not name or usernames.clean(name) == name


def test_a_username_taken_in_any_spelling_gets_a_number():
    names = ("alice", "ALICE", "\uff41lice", "bob-2", "bob")
    held = [users.take_similar_username(name) for name in names]
    assert held == ["alice", "ALICE-2", "\uff41lice-3", "bob-2", "bob"]
    assert users.take_similar_username("aIice") == "aIice-4"

    # When the small numbers are taken, six random digits are added, and the result still fits.
    longest = usernames.suggest("a" * 200)
    held = [users.take_similar_username(longest) for _ in range(12)]
    assert len(set(held)) == 12
    assert sum(bool(re.fullmatch("a{23}-[0-9]{6}", name)) for name in held) == 3
    assert all(usernames.clean(name) == name for name in held)


def make_existing(*given):
    """Create users as before skeletons existed, when usernames could look alike."""
    for name in given:
        Username.objects.create(key=usernames.key(name))
        users.create_user(name, make_password(PASSWORD))


def is_free(name):
    try:
        users.take_username(name, until=None)
    except users.UsernameTaken:
        return False
    return True


def skeletons():
    return dict(NameSkeleton.objects.values_list("skeleton", "name"))


def test_a_skeleton_is_free_again_with_its_username(clock):
    sign_up(Client(), "paypal")
    assert not is_free("paypaI")
    clock.advance(days=3)
    assert is_free("paypaI")

    with connection.cursor() as cursor:
        # Without Django, which would delete the skeletons itself.
        cursor.execute("DELETE FROM accounts_username")
    assert skeletons() == {}


def test_a_username_in_another_case_may_not_look_like_another_username():
    make_user("paypal")
    mallory, bob = make_user("paypai"), make_user("bobl")

    with pytest.raises(users.UsernameTaken):
        users.rename(mallory, "paypaI")
    assert users.rename(bob, "bob1").username == "bob1", "bob's own username does not count"
    assert skeletons()["bobl"] == "bob1"


def test_existing_lookalikes_keep_their_usernames_sign_in_and_are_reported():
    make_user("carol")
    make_existing("Al\ufe0fice", "alice", "admin")
    Username.objects.create(key="al1ce")

    answer = StringIO()
    call_command("check_usernames", "--json", stdout=answer)
    found = json.loads(answer.getvalue())

    assert found["names"] == 5
    assert found["twins"] == [["alice", "Al\ufe0fice"]]
    assert [row["code"] for row in found["not_allowed"]] == ["invisible", "reserved"]
    assert skeletons() == {"alice": None, "allce": "al1ce", "adrnin": "admin", "carol": "carol"}
    assert sign_in(Client(), "AL\ufe0fICE").status_code == 302
    call_command("check_usernames", stdout=(lines := StringIO()))
    assert "Look alike: alice, Al\ufe0fice (Al\\ufe0fice)" in lines.getvalue()


def test_the_skeleton_of_existing_lookalikes_is_held_while_one_of_them_is_left():
    make_existing("paypal", "paypaI")
    Check().run()
    mallory = User.objects.get(username="paypaI")
    users.rename(mallory, "PaypaI")
    users.rename(mallory, "mallory")
    Username.objects.filter(key="paypai").delete()

    assert not is_free("paypa1")
    assert Check().run().twins == set()
    assert skeletons() == {"paypal": "paypal", "rnallory": "mallory"}


def test_a_check_brings_every_skeleton_up_to_date(monkeypatch):
    """As after an update of the Unicode tables."""
    make_existing("bob", "dave", "zoe")
    # With older tables zoe had the skeleton of bob, who is checked first.
    NameSkeleton.objects.create(skeleton="bob", name_id="zoe")
    monkeypatch.setattr("accounts.users.skeletons.BATCH", 1)

    assert Check().run().twins == set()

    assert skeletons() == {"bob": "bob", "dave": "dave", "zoe": "zoe"}


def test_the_stored_unicode_tables_are_complete():
    """The numbers are those at the ends of the files of Unicode 16."""
    held = json.loads(TABLES.read_text())

    def size(name):
        spans = [[int(code, 16) for code in line.split()[:2]] for line in held[name]]
        return sum(last - first + 1 for first, last in spans)

    assert (held["unicode"], len(held["confusables"])) == ("16.0.0", 6355)
    assert (size("allowed"), size("ignorable")) == (112778, 4174)
