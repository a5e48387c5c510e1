"""What an email looks like after its content is encoded, and what its plain text says."""

from dataclasses import replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest

from accounts.common.brand import Link
from accounts.mail.message import Message


def received(message: Message) -> EmailMessage:
    """Return the email as its recipient gets it."""
    raw = message.email("1").message().as_bytes()
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)


@pytest.mark.parametrize("times", range(1, 6))
def test_a_long_subject_with_umlauts_arrives_unchanged(times: int) -> None:
    subject = " · ".join(["Du gehörst jetzt zum Team", "Deine Rechte wurden geändert"] * times)

    email = received(Message(to="alice@example.org", subject=subject))

    assert email["Subject"] == subject


def test_the_plain_text_has_short_lines_and_whole_links() -> None:
    url = f"https://example.org/{'x' * 90}/"
    message = Message(
        to="alice@example.org",
        subject="Hello",
        paragraphs=["words and " * 20],
        facts=[("What", f"{'one ' * 30}\ntwo"), ("When", "now")],
        action_label="Go",
        action_url=url,
    )

    body = received(message).get_body(("plain",))
    assert body
    lines = body.get_content().splitlines()
    assert max(len(line) for line in lines if line != url) <= 76
    assert url in lines
    assert [line for line in lines if line.endswith(("two", "now"))] == [
        "         two",
        "  When:  now",
    ]


def test_people_can_answer_to_the_support_address_and_find_the_links_of_the_footer(
    settings: Any,
) -> None:
    settings.AUTHSITE = replace(
        settings.AUTHSITE,
        site_support="mailto:help@example.org?subject=Hi",
        site_links=(Link("Imprint", "/imprint/"),),
    )

    email = received(Message(to="alice@example.org", subject="Hello"))

    assert email["Reply-To"] == "help@example.org"
    for part in ("plain", "html"):
        body = email.get_body((part,))
        assert body
        assert f"{settings.AUTHSITE.origin}/imprint/" in body.get_content()
