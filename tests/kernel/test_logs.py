"""One event is one line, and says no secret."""

import logging

import pytest

from accounts.kernel.logs import OneLine


def line(message: str) -> str:
    record = logging.LogRecord("name", logging.WARNING, __file__, 1, message, None, None)
    return OneLine("{message}", style="{").format(record)


@pytest.mark.parametrize(
    "poison", ["\n", "\r", "\x1b[2J", "\x85", "\u2028", "\u202e", "\0", "\x7f"]
)
def test_what_a_client_sent_begins_no_line_and_moves_no_cursor(poison: str) -> None:
    assert line(f"before{poison}after").isprintable()


@pytest.mark.parametrize("page", ["confirm-email", "owner"])
@pytest.mark.parametrize("end", ["", "/", "/?a=b", "' refused", '"'])
def test_the_secret_part_of_a_link_is_not_logged(page: str, end: str) -> None:
    logged = line(f"Not Found: https://host/accounts/{page}/s3cr3t-Token_1{end}")

    assert "s3cr3t" not in logged
    assert f"/accounts/{page}/" in logged
