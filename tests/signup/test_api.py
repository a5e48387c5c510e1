"""The API calls for signing up: ``users/``, ``email/verify/`` and ``email/resend/``."""

import pytest
from django.test import Client

from accounts.users.models import PendingSignup, User
from tests.support.api import call, get_tokens, is_good
from tests.support.steps import PASSWORD, address_of, code_in, mail_to

WRONG = "AAAAAAAA"


@pytest.fixture(autouse=True)
def _stopped_clock(clock):
    """Stop the clock, so that no budget refills during a test."""


def sign_up(name="alice", client=None, **more):
    fields = {"username": name, "email": address_of(name), "password": PASSWORD}
    return call("users/", fields | more, client=client)


def verify(code, client=None, name="alice"):
    return call("email/verify/", {"email": address_of(name), "code": code}, client=client)


def resend(name="alice", client=None):
    return call("email/resend/", {"email": address_of(name)}, client=client)


def at(address):
    return Client(REMOTE_ADDR=address)


def code_of(name="alice"):
    return code_in(mail_to(name).body)


def test_a_sign_up_answers_201_with_the_id_that_the_account_will_have():
    answer = sign_up()

    pending = PendingSignup.objects.get()
    assert answer.status == 201
    assert answer.body == {"id": str(pending.pk), "username": "alice"}
    assert not User.objects.exists()
    assert get_tokens().code == "email_not_verified"
    code = code_of()
    assert verify(code).body == answer.body
    assert verify(code).code == "invalid_code", "a code works once"
    assert User.objects.get().pk == pending.pk
    assert is_good(get_tokens()["access"])


def test_the_location_header_starts_with_the_origin_and_ignores_the_host_header():
    answer = sign_up(client=Client(headers={"host": "[::1]", "x-forwarded-host": "evil.example"}))

    expected = f"http://localhost:8000/api/v1/users/{answer['id']}/"
    assert answer.headers["Location"] == expected


REFUSED = {
    "username": ("a b", "x" * 31, "alice@example.org", "", 7),
    "email": ("nobody", "a@b.example\r\nBcc: c@d.example", f"{'x' * 250}@e.example"),
    "password": ("short", "password1234", "alice@example.org", "x" * 1025, 123456789012),
}


def test_invalid_sign_up_fields_are_refused_by_name_without_hashing(hashes):
    for field, values in REFUSED.items():
        for value in values:
            answer = sign_up(**{field: value})
            assert (answer.status, answer.fields) == (400, [field]), value
    assert hashes == []
    assert sign_up().status == 201
    for name in ("alice", "ALICE"):
        answer = sign_up(name, email="other@example.org")
        assert (answer.status, answer.fields) == (400, ["username"]), "the username is reserved"


def test_a_code_allows_five_tries_to_the_client_that_signed_up(clock):
    """Withstands a guesser."""
    for n, name in enumerate(("alice", "bob")):
        sign_up(name, at("192.0.2.1"))
        code, last = code_of(name), WRONG if n else code_of(name)

        tried = [verify(typed, at("192.0.2.200"), name) for typed in [WRONG] * 4 + [last]]
        assert [answer.status for answer in tried] == [400] * 4 + [400 if n else 200]
        assert verify(code, at("192.0.2.1"), name).code == "invalid_code"
    clock.advance(minutes=1)
    resend("BOB")
    assert verify(code_of("bob"), at("192.0.2.1"), "bob").status == 200


def test_the_code_of_another_sign_up_for_the_same_email_confirms_no_other_username():
    """CVE-2026-53516: nobody may be tricked into confirming another person's pending sign-up."""
    sign_up(client=at("192.0.2.1"))
    own = code_of()
    sign_up("mallory", at("192.0.2.9"), email=address_of("alice"))
    theirs = code_of()
    alice = {"email": address_of("alice"), "username": "alice"}

    assert call("email/verify/", {**alice, "code": theirs}).code == "invalid_code"
    assert not User.objects.exists()
    assert call("email/verify/", {**alice, "username": "ALICE", "code": own})["username"] == "alice"
    assert not PendingSignup.objects.exists()


@pytest.mark.parametrize("more", [{}, {"username": "alice"}], ids=["by line", "by username"])
def test_other_sign_ups_for_the_same_email_do_not_take_the_resent_mail(clock, more):
    sign_up(client=at("192.0.2.1"))
    for n in range(3):
        sign_up(f"mallory{n}", at("198.51.100.9"), email=address_of("alice"))
    clock.advance(minutes=2)

    home = at("192.0.2.77" if more else "192.0.2.1")
    call("email/resend/", {"email": address_of("alice"), **more}, client=home)

    assert "Hello alice" in mail_to("alice").body


def test_an_overlong_username_is_refused_before_it_is_normalized(monkeypatch):
    """NFKC turns each character into eighteen: an anonymous request could cost a second of CPU."""
    monkeypatch.setattr("accounts.users.usernames.clean", lambda _name: pytest.fail("worked on"))

    assert sign_up(username="\ufdfa" * 9_000).status == 400
