"""What people do on pages, done over the API alone."""

import pytest

from tests.support.api import Answer, call, get_tokens
from tests.support.steps import code_in, make_user, outbox


@pytest.fixture
def alice(clock):
    return make_user("alice")


@pytest.fixture
def token(alice):
    return str(get_tokens()["access"])


def emails_of(token: str) -> dict[str, dict]:
    return {row["email"]: row for row in call("emails/", token=token)["results"]}


def done(answer: Answer) -> Answer:
    assert answer.status in {200, 201, 202, 204}, answer
    return answer


def test_alice_adds_an_email_makes_it_primary_and_removes_the_former_one(token, clock):
    new, old = "alice@example.net", "alice@example.org"
    pending = done(call("emails/", {"email": " Alice@Example.net "}, token=token))
    assert (pending["email"], pending["confirmed_at"]) == ("Alice@example.net", None)
    clock.advance(minutes=1)
    again = done(call("emails/", {"email": new}, token=token))
    assert list(emails_of(token)) == [old, new]

    code = code_in(outbox()[-1].code)
    row = done(call(f"emails/{again['id']}/confirm/", {"code": code}, token=token))
    assert row["confirmed_at"]
    assert not row["is_primary"]
    assert done(call(f"emails/{row['id']}/primary/", {}, token=token))["is_primary"]
    done(call(f"emails/{emails_of(token)[old]['id']}/", method="DELETE", token=token))

    assert call("me/", token=token)["email"] == new
    assert [row["is_primary"] for row in emails_of(token).values()] == [True]
    told = {mail.to for mail in outbox() if "was removed" in mail.subject}
    assert told == {old, new}


def test_alice_cancels_an_email_that_she_has_mistyped(token):
    row = done(call("emails/", {"email": "alcie@example.net"}, token=token))

    done(call(f"emails/{row['id']}/", method="DELETE", token=token))

    assert list(emails_of(token)) == ["alice@example.org"]
    assert call(f"emails/{row['id']}/", method="DELETE", token=token).status == 404
