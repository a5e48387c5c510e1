"""The form of the sign-in page, which is rendered once for each language and then cached."""

import pytest
from django import forms
from django.utils import translation

from accounts.signin.forms import LoginForm


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_cached_empty_form_equals_a_rendered_one_in_each_language(language: str) -> None:
    with translation.override(language):
        drawn = str(LoginForm())

        assert drawn == forms.Form.render(LoginForm()) == LoginForm().__html__()
        assert ("angemeldet bleiben" in drawn) == (language == "de")


def test_typed_values_do_not_leak_into_other_forms() -> None:
    before = str(LoginForm())
    typed = LoginForm({"login": "alice@example.org"})

    assert "alice@example.org" in str(typed)
    assert "alice@example.org" in str(LoginForm(initial={"login": "alice@example.org"}))
    assert str(LoginForm()) == before
