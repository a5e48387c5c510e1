"""Request ids come from the site or from a trusted proxy, and are in every log line."""

import dataclasses
import errno
import io
import json
import re
import sys
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client

from accounts.common import logs
from accounts.ops import public_views

HEALTHY = "proxy-4f9c.17_A"
PROXY, STRANGER = "192.0.2.1", "192.0.2.2"


def answered_id(client: Client, given: str) -> str:
    """Send a request with the id ``given``; return the id of the answer."""
    return str(client.get("/help/", headers={"X-Request-ID": given})["X-Request-ID"])


@pytest.mark.django_db
def test_a_request_id_is_accepted_only_from_a_trusted_proxy_and_only_if_well_formed(
    settings: Any,
) -> None:
    proxies = (ip_network(f"{PROXY}/32"),)
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, trusted_proxies=proxies)
    proxy, stranger = Client(REMOTE_ADDR=PROXY), Client(REMOTE_ADDR=STRANGER)

    assert answered_id(proxy, HEALTHY) == HEALTHY
    odd = ("with space", "new\nline1", "<script>", "é" * 9, "a" * 9 + "\n")
    for given in ("", "short", "x" * 65, *odd):
        assert re.fullmatch("[0-9a-f]{32}", answered_id(proxy, given)), given
    ids = {answered_id(stranger, HEALTHY) for _ in range(3)} | {
        answered_id(Client(REMOTE_ADDR=""), HEALTHY)
    }
    assert len(ids) == 4
    assert HEALTHY not in ids


@pytest.mark.django_db
def test_every_answer_has_a_request_id_and_every_request_one_log_line_with_it(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, environment="production")
    statuses = {"/help/": 200, "/": 302, "/nowhere/": 404, "/api/v1/me/": 401, "/api/nowhere": 404}
    for path, status in statuses.items():
        answer = Client().get(f"{path}?token=s3cr3t", headers={"Cookie": "sessionid=s3cr3t"})

        (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert line["request_id"] == answer["X-Request-ID"]
        assert (line["event"], line["method"], line["path"]) == ("request", "GET", path)
        assert (line["status"], line["client"]) == (status, "127.0.0.1")
        assert "s3cr3t" not in str(line)


@pytest.mark.django_db
def test_an_error_in_a_view_is_logged_with_the_request_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def wrong(*_arguments: Any) -> None:
        seen.append(logs.REQUEST_ID.get())
        raise ZeroDivisionError

    monkeypatch.setattr(public_views, "render", wrong)
    answer = Client(raise_request_exception=False).get("/help/")

    assert answer.status_code == 500
    assert seen == [answer["X-Request-ID"]]
    assert logs.REQUEST_ID.get() == ""


class Full(io.StringIO):
    """A stream that fails on every write, as on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.django_db
def test_requests_are_answered_even_if_the_log_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full, or the reader of the log is gone."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Full())
        paths = ("/help/", "/nowhere/", "/api/v1/me/")
        statuses = [Client().get(path).status_code for path in paths]

    assert statuses == [200, 404, 401]
