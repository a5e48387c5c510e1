"""System 2: secure random tokens.

Row 1, the one source of randomness, is in ``tests/house/test_code.py``.
"""

import re
from hashlib import sha256

import pytest
from django.core.management import CommandError, call_command
from playwright.sync_api import expect

from accounts.apikeys.models import APIKey
from tests.support.api import call, get_tokens
from tests.support.api_keys import FORM, NEW, shown_key
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import SIGNUP, make_user


def test_2_2_make_secret_prints_every_form_in_a_bounded_length(capfdbinary):
    for words, form in {
        (): rb"[\w-]{64}\n",
        ("urlsafe", "16"): rb"[\w-]{22}\n",
        ("hex", "1024"): rb"[0-9a-f]{2048}\n",
        ("bytes",): rb"(?s).{32}",
        ("password",): rb"([a-km-z2-9]{5}-){4}[a-km-z2-9]{5}\n",
        ("encryption-key",): rb"[\w-]{43}=\n",
    }.items():
        call_command("make_secret", *words)
        assert re.fullmatch(form, capfdbinary.readouterr().out)
    for form, size in {"urlsafe": 15, "hex": 1025, "bytes": -1, "password": 65}.items():
        with pytest.raises(CommandError, match=r"a (secret|password) has \d+ to \d+"):
            call_command("make_secret", form, "--", str(size))


@proves("V11.2.4")
def test_2_3_an_api_key_is_not_stored_by_caches_and_compared_in_constant_time(client, monkeypatch):
    """It is shown once: ``tests/attacks/test_api_keys.py``."""
    signed_in(make_user("alice"), client)
    token = get_tokens()["access"]
    compared: list[tuple[str, str]] = []

    page, made = client.post(NEW, FORM), call("keys/", {"name": "bot"}, token=token)

    monkeypatch.setattr(
        "accounts.apikeys.services.hmac.compare_digest", lambda *both: compared.append(both)
    )
    for key, headers in ((shown_key(page), page.headers), (made["key"], made.headers)):
        assert "no-store" in headers["Cache-Control"]
        digest = APIKey.objects.get(digest=sha256(key.encode()).hexdigest()).digest
        assert call("me/", token=key).status == 401, "nothing else compares the digests"
        assert compared == [(digest, digest)]
        compared.clear()


@pytest.mark.browser
def test_2_4_a_suggested_password_is_strong_and_stays_in_the_browser(open_page, site):
    page = open_page(site)
    page.goto(SIGNUP, wait_until="networkidle")
    left: list[str] = []
    page.on("request", lambda request: left.append(request.url))
    field = page.get_by_label("Password", exact=True)
    status = page.locator(".strength [role=status]")

    suggestions = set()
    for _ in range(50):
        page.get_by_role("button", name="Suggest a strong password").click()
        suggestions.add(field.input_value())

    for suggestion in suggestions:
        assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", suggestion)
    # 20 letters of 32 are 100 bits; in a thousand draws none of the 32 is missing.
    assert len(set("".join(suggestions)) - {"-"}) == 32
    assert field.get_attribute("type") == "text", "the person must see the password to keep it"
    expect(status).to_have_text("Very good.")
    field.press("End")
    field.press_sequentially("!")
    page.wait_for_timeout(600)
    assert left == []
    kept = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]

    field.select_text()
    field.press_sequentially("PassWord1234")
    expect(status).to_contain_text("This is one of the first passwords")
    assert left, "a password typed over a suggestion is measured, and its request is seen"
