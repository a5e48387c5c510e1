"""Each log event is one line and contains no secret."""

import json
import logging
import sys
from itertools import product

import pytest

from accounts.common import logs
from accounts.common.config import Config
from tests.support.standards import proves
from tests.support.urls import ROUTES

POISON = ["\n", "\r", "\x1b[2J", "\x85", "\u2028", "\u202e", "\0", "\x7f", "\ud800"]


def line(message, *, development):
    """Return the log line of an error with this message, and with its traceback."""
    try:
        raise ValueError(message)
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("name", logging.WARNING, __file__, 1, message, None, exc_info=error)
    return logs.Formatter(development=development).format(record)


@proves("V16.4.1")
def test_client_input_cannot_start_a_log_line_or_move_the_cursor():
    for poison, development in product(POISON, [True, False]):
        said = line(f"before{poison}after", development=development)

        assert said.isprintable()
        assert development or json.loads(said)["event"] == f"before{poison}after"


@proves("V16.4.1")
def test_a_request_cannot_forge_a_log_line(capsys):
    """Withstands a hostile client."""
    for poison in POISON:
        sent = f'x{poison} status=200 "status": 200'
        for development in (True, False):
            logs.requests_log(development=development)(path=sent, status=404)
        words, data, rest = capsys.readouterr().err.split("\n")

        assert (words + data).isprintable()
        assert rest == ""
        assert words.endswith('" status=404')
        assert json.loads(data)["status"] == 404
        assert json.loads(data)["path"] == sent


def test_the_secret_part_of_a_link_is_not_logged():
    ends = ["", "/", "/?a=b", "' refused", '"']
    for page, end, development in product(["confirm-email", "owner"], ends, [True, False]):
        logged = line(f"https://host/accounts/{page}/s3cr3t-Token_1{end}", development=development)

        assert "s3cr3t" not in logged
        assert logged.count(f"/accounts/{page}/[secret]") == 2


@proves("V16.2.5")
def test_no_secret_in_a_path_reaches_the_request_log():
    """Withstands a thief with the database."""
    for route in (route for route in ROUTES if "<str:" in route):
        path = "/" + route.replace("<str:key>", "{}").replace("<str:token>", "{}")
        for turn in ("{}", "{}x", "\n{}", "/{}", "{}/more", "\0{}\n", "é{}"):
            assert "s3cr3t" not in logs.redact_path(path.format(turn.format("s3cr3t")))
    assert "s3cr3t" not in logs.redact_path(f"/nowhere/{'s3cr3t' * 7}/")
    assert logs.redact_path("/accounts/password/reset/") == "/accounts/password/reset/"


@pytest.mark.parametrize("prefix", ["authsite_", "authsite_client_", "authsite_register_"])
def test_no_part_of_a_key_or_of_an_apps_secret_is_logged(prefix):
    """Withstands a thief with the database."""
    text = f"{prefix}{'k2' * 27}a"

    for part in (text, text.upper(), text[:40], text[len(prefix) :]):
        assert "k2k2k2k2" not in logs.redact(f"for {part}.").lower()


def test_secrets_in_values_that_are_not_text_are_redacted(capsys):
    path = "/accounts/owner/s3cr3t-Token_1/"
    logs.requests_log(development=False)(path=[path])

    assert json.loads(capsys.readouterr().err)["path"] == "['/accounts/owner/[secret]/']"


@pytest.mark.parametrize(
    "environment, log_level, is_logged",
    [("production", None, True), ("development", None, False), ("development", "info", True),
     ("production", "error", False)],
)  # fmt: skip
def test_requests_are_logged_by_default_in_production_only(
    environment, log_level, is_logged, capsys
):
    given = {"log_level": log_level} if log_level else {}
    level = Config(environment=environment, **given).lowest_log_level
    logs.requests_log(development=True, level=level)(path="/")

    assert bool(capsys.readouterr().err) is is_logged
