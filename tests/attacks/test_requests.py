"""Malformed requests to pages."""

import errno
import html
import io
import json
import re
import sys
from ipaddress import ip_network
from urllib.parse import quote_from_bytes, urlencode

import pytest
from django.test import Client, RequestFactory
from django.urls import ResolverMatch

from accounts.users.models import EmailAddress, PendingSignup, User, Username
from authsite import errors
from tests.support.signin import set_up, signed_in
from tests.support.steps import CONFIRM, LOGIN, PASSWORD, SIGNUP, make_user, outbox, sign_up

HEALTHY = "proxy-4f9c.17_A"
PROXY, STRANGER = "192.0.2.1", "192.0.2.2"


def answered_id(client, given):
    """Send a request with the id ``given``; return the id of the answer."""
    return str(client.get("/help/", headers={"X-Request-ID": given})["X-Request-ID"])


def test_a_request_id_is_accepted_only_from_a_trusted_proxy_and_only_if_well_formed(settings):
    """Withstands a hostile client."""
    proxies = (ip_network(f"{PROXY}/32"),)
    set_up(settings, trusted_proxies=proxies)
    proxy, stranger = Client(REMOTE_ADDR=PROXY), Client(REMOTE_ADDR=STRANGER)

    assert answered_id(proxy, HEALTHY) == HEALTHY
    odd = ("with space", "new\nline1", "<script>", "é" * 9, "a" * 9 + "\n")
    for given in ("", "short", "x" * 65, *odd):
        assert re.fullmatch("[0-9a-f]{32}", answered_id(proxy, given)), given
    clients = (stranger, stranger, stranger, Client(REMOTE_ADDR=""))
    ids = {answered_id(client, HEALTHY) for client in clients}
    assert len(ids) == 4
    assert HEALTHY not in ids


def test_every_answer_has_a_request_id_and_every_request_one_log_line_with_it(settings, capsys):
    set_up(settings, environment="production")
    statuses = {"/help/": 200, "/": 302, "/nowhere/": 404, "/api/v1/me/": 400, "/api/nowhere": 404}
    for path, status in statuses.items():
        answer = Client().get(f"{path}?token=s3cr3t", headers={"Cookie": "sessionid=s3cr3t"})

        (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert line["request_id"] == answer["X-Request-ID"]
        assert (line["event"], line["method"], line["path"]) == ("request", "GET", path)
        assert (line["status"], line["client"]) == (status, "127.0.0.1")
        assert "s3cr3t" not in str(line)


class Full(io.StringIO):
    """A stream that fails on every write, as on a full disk."""

    def write(self, _text):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_requests_are_answered_even_if_the_log_cannot_be_written(monkeypatch):
    """Withstands a failure.

    The disk is full, or the reader of the log is gone.
    """
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Full())
        paths = ("/help/", "/nowhere/", "/api/v1/me/")
        statuses = [Client().get(path).status_code for path in paths]

    assert statuses == [200, 404, 401]


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "twin",
    ["m\u0131ke@example.org", "\uff4dike@example.org", "MIKE@EXAMPLE.ORG",
     "mike@exampl\u0435.org", "mike@example\u3002org"],
)  # fmt: skip
def test_cve_2019_19844_a_look_alike_email_gets_no_mail_of_the_account(twin):
    make_user("mike")

    sign_up(Client(), "mallory", twin)

    for mail in outbox():
        is_owners = mail.to == "mike@example.org"
        assert is_owners != bool(mail.code), "a look-alike email gets no code for the account"
        assert is_owners or mail.to == PendingSignup.objects.get().email
        assert mail.to.isascii(), "mails go to ASCII emails only"


def bodies(fields):
    """Yield content types and bodies that no form of the site sends."""
    yield FORM, b""
    yield FORM, b"&&&==&%&;%zz=%"
    yield FORM, urlencode(fields | dict.fromkeys(map(str, range(100)), "x")).encode()
    yield FORM, b"&".join(b"f%d=" % i for i in range(20_000))
    yield "application/json", b'{"login": ["alice"], "password": {}}'
    yield f"{FORM}; charset=utf-7", urlencode(fields).encode()
    yield f"{FORM}; charset=undefined", urlencode(fields).encode()
    yield "multipart/form-data", b"no boundary"
    yield "multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n--x"
    yield "multipart/form-data; boundary=" + "x" * 300, b"--x"
    yield "multipart/form-data; boundary=x", multipart(fields, file=True)
    for odd in ("name*=undefined''x", "name*=no-such''x", "name=\"x\"; filename*=undefined''x"):
        part = f"--x\r\nContent-Disposition: form-data; {odd}\r\n\r\nvalue\r\n--x--\r\n"
        yield "multipart/form-data; boundary=x", part.encode()
    for field, valid in fields.items():
        rest = {name: value for name, value in fields.items() if name != field}
        yield FORM, urlencode(rest).encode()
        yield FORM, urlencode({**rest, field: [valid, "twice"]}, doseq=True).encode()
        yield FORM, urlencode({**rest, f"{field}[]": valid}).encode()
        as_a_file = multipart(rest) + multipart({field: "x"}, file=True)
        yield "multipart/form-data; boundary=x", as_a_file
        long = (b"a" * 900_000, "\ufdfa".encode() * 20_000)
        for value in (b"\xed\xa0\x80", b"\xff\xfe", b"\0", b"\xc0\xaf", *long):
            yield FORM, urlencode(rest).encode() + f"&{field}={quote_from_bytes(value)}".encode()


def multipart(fields, *, file=False):
    name = '; filename="a.txt"\r\nContent-Type: text/plain' if file else ""
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="{field}"{name}\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    )
    return "".join(parts).encode() + b"--x--\r\n"


@pytest.mark.parametrize("form", ["login", "signup", "confirm"])
def test_no_form_body_causes_a_server_error_or_a_partial_change(form, settings):
    set_up(settings, limits_scale=1000)
    make_user("alice")
    browser = Client(raise_request_exception=False)
    sign_up(browser, "carol")
    path, fields = {
        "login": (LOGIN, {"login": "alice", "password": PASSWORD, "remember": "on", "next": "/"}),
        "signup": (SIGNUP, {"username": "bob", "email": "b@example.org", "password1": "short"}),
        "confirm": (CONFIRM, {"code": "ABCDEFGH"}),
    }[form]
    tables = (EmailAddress, PendingSignup, User, Username)
    before = [table.objects.count() for table in tables]

    errors = []
    for kind, body in bodies(fields):
        answer = browser.generic("POST", path, body, content_type=kind)
        if answer.status_code >= 500:
            errors.append((answer.status_code, kind, body[:80]))

    assert errors == []
    assert [table.objects.count() for table in tables] == before


HERE = {"Origin": "http://testserver"}
EMAIL, PROFILE = "/accounts/email/", "/accounts/profile/"


def expired(path, client=None, **posted):
    """Post a form of this site without a token, and return the page that refuses it."""
    client = client or signed_in(make_user("alice"), Client(enforce_csrf_checks=True))
    answer = client.post(path, posted, headers=HERE)
    assert answer.status_code == 403
    return html.unescape(answer.text)


@pytest.mark.parametrize(
    "path, posted",
    [
        (EMAIL, {"email": "new@example.org"}),
        (PROFILE, {"display_name": "Alice Example", "username": "alice.b"}),
        ("/accounts/keys/new/", {"name": "backup robot"}),
    ],
)
def test_an_expired_form_opens_again_filled_in_and_has_changed_nothing(path, posted):
    page = expired(path, **posted)

    assert "so nothing was sent" in page
    for value in posted.values():
        assert f'value="{value}"' in page
    alice = User.objects.get()
    assert (alice.username, alice.display_name) == ("alice", "")
    assert not alice.pending_emails.exists()


def test_an_expired_form_of_a_stranger_keeps_what_was_typed_but_no_password():
    client = Client(enforce_csrf_checks=True)
    fields = {"username": "bob", "email": "b@example.org", "password1": PASSWORD}

    for page in (
        expired(SIGNUP, client, **fields),
        expired(LOGIN, client, login="bob", password=PASSWORD),
        expired("/accounts/login/code/", client, login="bob"),
    ):
        assert 'value="bob"' in page
        assert PASSWORD not in page
    assert not PendingSignup.objects.exists()


@pytest.mark.parametrize(
    "path, posted",
    [
        ("/accounts/2fa/challenge/", {"code": "123456", "trust": "on"}),
        ("/accounts/password/change/", {"password1": PASSWORD}),
        ("/accounts/lockdown/", {}),
        ("/accounts/sessions/", {"others": "1"}),
    ],
)
def test_an_expired_form_with_a_secret_or_a_dangerous_act_has_to_be_opened_again(path, posted):
    """Withstands a hostile website."""
    page = expired(path, **posted)

    main = page.partition("<main")[2].partition("</main>")[0]
    assert "csrfmiddlewaretoken" not in main
    assert not [value for value in posted.values() if len(value) > 2 and value in main]


def test_an_expired_form_of_a_page_that_needs_a_sign_in_shows_nothing_to_a_stranger():
    page = expired(EMAIL, Client(enforce_csrf_checks=True), email="new@example.org")

    assert "new@example.org" not in page
    assert "csrfmiddlewaretoken" not in page.partition("<main")[2].partition("</main>")[0]


def test_a_form_of_another_app_whose_url_has_the_same_name_does_not_open_again():
    request = RequestFactory().post("/shop/profile/", {"about": "x"}, headers=HERE)
    request.resolver_match = ResolverMatch(
        str, (), {}, url_name="profile", app_names=["shop"], namespaces=["shop"]
    )

    assert errors.reopened(request) is None
