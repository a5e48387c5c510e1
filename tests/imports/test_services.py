"""What an import does with names, addresses, interruptions and what others do meanwhile."""

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError
from django.test import Client

from accounts.emails.models import PendingEmail
from accounts.imports import portions, services
from accounts.imports.models import ImportedFile
from accounts.imports.parts import BadRow, FoundEmail, FoundPerson
from accounts.imports.services import Busy, Import
from accounts.twofactor.models import Authenticator
from accounts.users.models import PendingSignup, User
from tests.support.foreign_hashes import BCRYPT
from tests.support.imports import imported, imported_text, signs_in
from tests.support.steps import address_of, make_user, outbox, sign_up

HEAD = "username,email,email_verified,password_hash\n"


def people(count, start=0):
    return [person(f"otter-{n}", f"otter-{n}") for n in range(start, start + count)]


def person(name, mailbox, **fields):
    return FoundPerson(name, [FoundEmail(address_of(mailbox), True)], **fields)


def run(rows, digest="d", **options):
    """Import ``rows``; return how many were imported, and the sentences of the notes."""
    notes = []
    importing = Import(notes.append, lambda _rows: None, **options)
    importing.run(iter(rows), digest)
    return importing.imported, [(note.number, note.sentence) for note in notes]


def names():
    return set(User.objects.values_list("username", flat=True))


NAMES = {
    "alice": "alice-2",
    "a1ice": "a1ice-2",
    "admin": "otter",
    "two words": "two-words",
    "x" * 40: "x" * 23,
    "\u202e": "otter",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_taken_or_looks_alike_or_breaks_the_rules_gets_a_similar_one(name):
    make_user("alice")

    _imported, notes = run([person(name, "x", display_name="otter")])

    assert names() == {"alice", NAMES[name]}
    assert notes[0][1].startswith(f"The username is {NAMES[name]}; in the file, it is ")


def test_each_of_many_people_with_one_name_gets_a_name_and_a_trial_tells_the_same(monkeypatch):
    monkeypatch.setattr(services, "PORTION", 5)
    rows, same = ([person("alice", f"alice{n}") for n in range(12)] for _again in "12")
    trial = run(same, is_trial=True)

    assert run(rows) == trial
    assert names() == {"alice", *(f"alice-{n}" for n in range(2, 10)), *NUMBERED}


# The numbers of the rows, when the others are taken.
NUMBERED = {"alice-000010", "alice-000011", "alice-000012"}


def test_an_address_belongs_to_one_account_and_is_confirmed_only_if_it_was(tmp_path):
    """Withstands a hostile file: a profile has the address of another person."""
    make_user("bob")
    sign_up_later = "carol@example.org"
    rows = (
        f"alice,alice@example.org,no,{BCRYPT}\n"
        f"mallory,BOB@example.org,yes,{BCRYPT}\n"
        f"carol,{sign_up_later},yes,{BCRYPT}\n"
        f"dave,Carol@example.org,no,{BCRYPT}\n"
        "erin,not an address,yes,\n"
    )
    sign_up(Client(), "pending", sign_up_later)
    result, notes = imported_text(tmp_path, HEAD + rows)

    assert names() == {"alice", "bob", "carol", "erin"}
    taken = "An email address belongs to another account."
    assert notes == [
        (2, taken),
        (4, taken),
        (5, "An email address is not valid: it is left out."),
        (5, "Nobody can sign in yet: there is no password and no verified address."),
    ]
    assert result == {"already_imported": 0, "imported": 3, "refused": 2}
    assert not User.objects.get(username="alice").emails.exists()
    assert PendingEmail.objects.get().email == "alice@example.org"
    assert not PendingSignup.objects.exists(), "the address is confirmed now"
    assert signs_in("alice")


def test_only_with_notify_people_who_can_sign_in_get_an_email(tmp_path):
    rows = "username,email,email_verified,is_active\nalice,alice@example.org,yes,\n"
    rows += "bob,bob@example.org,no,\ncarol,carol@example.org,yes,no\n"
    imported_text(tmp_path, rows)
    assert outbox() == []
    User.objects.all().delete()
    call_command("prune", verbosity=0)

    imported_text(tmp_path, rows + "\n", "csv", "--notify")

    (mail,) = outbox()
    assert (mail.to, mail.heading) == (address_of("alice"), "Your account has moved")


def test_an_import_that_ends_in_the_middle_goes_on_where_it_ended(monkeypatch):
    monkeypatch.setattr(services, "PORTION", 10)

    def killed():
        yield from people(25)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(killed())
    assert (len(names()), ImportedFile.objects.get().rows) == (20, 20)

    assert run(people(30)) == (10, [])
    assert len(names()) == 30
    assert run(people(30)) == (0, [])


def test_a_row_that_the_database_refuses_takes_no_other_with_it(monkeypatch):
    rows, write = people(6), portions.Portion.write
    rows[3] = BadRow("It is damaged.")

    def refused(portion, **options):
        write(portion, **options)
        if "otter-2" in names():
            raise DataError

    monkeypatch.setattr(portions.Portion, "write", refused)

    assert run(rows) == (4, [(3, "The database cannot store the row."), (4, "It is damaged.")])
    assert names() == {"otter-0", "otter-1", "otter-4", "otter-5"}


def test_one_process_imports_a_file_at_a_time():
    """Withstands a race."""

    def overtaken():
        yield from people(1)
        ImportedFile.objects.update(rows=1)

    with pytest.raises(Busy):
        run(overtaken())
    assert names() == set()


def test_too_many_authenticator_apps_and_repeated_ones_are_left_out():
    alice = person("alice", "alice", seeds={f"{n:040x}": {} for n in range(6)} | {"ab" * 9: {}})

    assert "too many" in run([alice])[1][0][1]

    assert Authenticator.objects.count() == 5


def test_what_is_no_file_of_the_format_is_refused(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        imported(tmp_path / "none", "csv")
    for name in ("keycloak", "firebase", "django"):
        with pytest.raises(CommandError, match="does not contain the list"):
            imported_text(tmp_path, "{}", name)
    for text in ("", "a,a\n"):
        with pytest.raises(CommandError, match="header"):
            imported_text(tmp_path, text)
    with pytest.raises(CommandError, match="username=login"):
        imported_text(tmp_path, HEAD, "csv", "--columns=x")
