"""API keys and secrets of apps in URLs and logs: the site refuses them and logs none."""

import itertools
import json

import pytest
from django.test import Client

from tests.support.api_keys import is_alive, key_of, make, recent_token
from tests.support.raw_http import END, raw
from tests.support.standards import proves
from tests.support.steps import make_user, member, sign_in

pytestmark = pytest.mark.django_db


def spellings(key):
    """Return encodings of ``key`` that a URL may have and a server decodes."""
    encoded = "".join(f"%{ord(letter):02x}" for letter in key)
    return [key, key.upper(), encoded, f"a{key}b", f"%61{key[1:]}"]


@proves("V14.2.1")
@pytest.mark.parametrize("prefix", ["authsite_", "authsite_client_"])
def test_a_key_in_a_url_is_refused_without_a_query(django_assert_num_queries, prefix):
    """Withstands an accident: a key in a URL reaches logs and histories.

    A valid key in the header does not help, so that a developer notices at the first try.
    """
    key = key_of(make_user("alice"), "read write")
    addresses = ["/{}", "/?key={}", "/?{}", "/static/app.css?v={}", "/accounts/login/?next=/{}"]
    addresses += ["/api/v1/me/?access_token={}", "/api/v1/{}/", "/api/v1/keys/{}/", "/dev/mail/{}/"]
    headers = {"Authorization": f"Bearer {key}"}
    secret = key.replace("authsite_", prefix)
    for address, spelling in itertools.product(addresses, spellings(secret)):
        path, _, query = address.format(spelling).partition("?")
        for method in ("GET", "HEAD", "POST"):
            with django_assert_num_queries(0):
                answer = Client().generic(method, path, QUERY_STRING=query, headers=headers)
            assert answer.status_code == 400, (method, path, query)
            assert secret.encode() not in answer.content
        if "/api/" in address:
            assert json.loads(answer.content)["code"] == "bad_request"
    assert is_alive(key)


def test_a_real_server_accepts_no_key_in_a_url_and_logs_none(site):
    """No header, form or malformed request puts a key into the log either."""
    member(site, "keeper")
    owner = site.client()
    sign_in(owner, "keeper")
    key = make(recent_token(owner, "keeper"), owner)["key"]
    addresses = ["/{}", "/?key={}", "/accounts/login/?next=%2F{}", "/api/v1/me/?token={}"]
    addresses += ["/api/v1/keys/{}/", "/static/{}", "/no/{}%0A{}", "//{}"]

    for address, spelling in itertools.product(addresses, spellings(key)):
        target = address.format(spelling, spelling)
        answer = raw(site, f"GET {target} HTTP/1.1\r\nHost: {{host}}\r\n{END}\r\n")
        assert answer.startswith("HTTP/1.1 400"), target
        assert key not in answer
    headers = {"Host": key, "Referer": f"https://evil.example/{key}", "Origin": key}
    owner.request("POST", "/accounts/login/", body=b"", headers=headers)
    site.client().post("/accounts/login/", {"login": key, "password": key})
    for part in (key[:40], key[9:], f"%25{ord(key[0]):x}{key[1:]}"):
        site.client().get(f"/{part}/")

    assert is_alive(key, owner)
    assert "path=/static/[secret]" in site.log()
    assert key[25:57] not in site.log().lower()
