"""What every error of the API has in common."""

import pytest
from rest_framework import serializers

from accounts.calls.serializers import Strict
from tests.support.api import API, call
from tests.support.api_jwt import call as raw_call
from tests.support.wsgi import Program


def test_an_error_about_fields_lists_each_with_a_code_for_programs():
    answer = call("users/", {"username": "admin", "password": "x", "passwort": "x", "errors": "x"})

    listed = [(error["field"], error["code"]) for error in answer["errors"]]
    assert listed == [
        *[("username", "reserved"), ("email", "required"), ("password", "min_length")],
        *[("passwort", "unknown"), ("non_field_errors", "unknown")],
    ]
    assert all(answer[error["field"]] == [error["detail"]] for error in answer["errors"])


def test_a_serializer_of_another_app_names_unknown_members_beside_the_wrong_ones():
    class Note(Strict):
        text = serializers.CharField()

    right, wrong, none = Note(data={"text": "a"}), Note(data={"txt": "a"}), Note(data="a")

    assert right.is_valid()
    assert right.validated_data == {"text": "a"}
    assert (wrong.is_valid(), none.is_valid()) == (False, False)
    codes = {name: [fault.code for fault in faults] for name, faults in wrong.errors.items()}
    assert codes == {"text": ["required"], "txt": ["unknown"]}
    assert none.errors.keys() == {"non_field_errors"}


@pytest.mark.parametrize(
    "asked",
    [
        *[{"path": "me/"}, {"path": "me"}, {"path": "nothing/"}, {"path": "me/", "method": "BREW"}],
        *[{"path": "token/"}, {"path": "token/", "body": b"{"}],
        *[{"path": "me/", "host": "x.example"}, {"path": "token/", "body": b" " * 70_000}],
        {"path": "token/", "body": b"a", "kind": "text/plain"},
    ],
    ids=str,
)
def test_errors_before_and_outside_of_views_are_in_the_language_of_the_client(asked):
    def sentence(language):
        more = asked | {"path": f"{API}{asked['path']}", "Accept-Language": language}
        return raw_call(Program(), **more)["detail"]

    assert sentence("en") != sentence("de")
