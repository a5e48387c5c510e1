"""What the cookie "last-method" reveals to somebody else who uses the browser."""

import pytest
from django.conf import settings
from django.test import Client

from tests.support.steps import CODE, PASSWORD, WRONG, make_user, sign_in

pytestmark = pytest.mark.django_db


def test_the_last_method_depends_on_a_right_proof_and_never_on_the_typed_login() -> None:
    """Otherwise, a stranger could learn whether an account exists and how its owner signs in."""
    make_user("alice")
    for login, password in (("alice", WRONG), ("nobody", WRONG), ("nobody", PASSWORD)):
        client = Client()
        for answer in (
            sign_in(client, login, password),
            client.post(CODE, {"login": login}),
            client.post(CODE, {"code": "ZZZZ9999"}),
            client.post("/accounts/login/", {"login": login, "again": "1"}),
        ):
            assert settings.LAST_METHOD_COOKIE_NAME not in answer.cookies, (login, password)

    assert sign_in(client, "alice").cookies[settings.LAST_METHOD_COOKIE_NAME].value == "password"
