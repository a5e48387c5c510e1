"""The link by which the first owner of a site signs up."""

import io

from django.core.management import call_command

from tests.support.steps import PASSWORD


def printed_by(*words: str) -> str:
    output = io.StringIO()
    call_command(*words, stdout=output)
    return output.getvalue()


OWNER = {"username": "carol", "email": "carol@example.org", "password1": PASSWORD}


def owner_link() -> str:
    """Return the path of a new owner link, which the command prints as its only line."""
    link, line_end, rest = printed_by("create_owner").partition("\n")
    assert (line_end, rest) == ("\n", "")
    assert link.startswith("http://localhost:8000/accounts/owner/")
    return link.removeprefix("http://localhost:8000")
