"""Mailed codes and links: tries are counted before a comparison, and a secret is used once."""

import re
from datetime import timedelta

import pytest

from accounts.codes import services as codes
from accounts.codes.models import Code
from accounts.common.forms import CodeField
from accounts.common.text import written_code
from tests.support.client import together
from tests.support.clock import Clock

AT_ONCE = 8
PURPOSE = codes.Purpose("test", life=timedelta(minutes=15))


@pytest.mark.parametrize(
    "typed", ["12345678", "1234 5678", "1-2-3456 78", "1234\u00a05678", "\u0661234 5678\n"]
)
def test_a_mailed_code_is_accepted_in_any_spacing_and_script(typed: str) -> None:
    assert CodeField().clean(typed) == "12345678"


@pytest.mark.django_db
def test_a_mailed_code_has_eight_digits_and_is_written_in_two_groups() -> None:
    code = codes.issue_code(PURPOSE, 1)

    assert re.fullmatch("[0-9]{8}", code)
    assert re.fullmatch("[0-9]{4} [0-9]{4}", written_code(code))
    assert CodeField().clean(written_code(code)) == code


@pytest.mark.django_db(transaction=True)
def test_only_five_of_eight_concurrent_tries_of_a_code_are_compared() -> None:
    code = codes.issue_code(PURPOSE, 1)

    def is_compared(_: int) -> bool:
        try:
            return codes.try_code(PURPOSE, 1, code)
        except codes.UsedUp:
            return False

    assert sum(together(AT_ONCE, is_compared)) == 5
    assert not is_compared(0)


@pytest.mark.django_db(transaction=True)
def test_one_of_eight_concurrent_uses_of_a_link_succeeds() -> None:
    link = codes.issue_link(PURPOSE, 1)

    assert sum(together(AT_ONCE, lambda _: codes.redeem(PURPOSE, 1, link))) == 1
    assert codes.subject_of(PURPOSE, link) is None


@pytest.mark.django_db
def test_a_secret_works_only_for_its_own_purpose_and_subject() -> None:
    other = codes.Purpose("other")
    code, link = codes.issue_code(PURPOSE, 1), codes.issue_link(other, 1)

    assert not codes.try_code(other, 1, code)
    assert not codes.try_code(PURPOSE, 2, code)
    assert not codes.try_code(PURPOSE, 1, link)
    assert not codes.redeem(other, 1, code)
    assert not codes.redeem(PURPOSE, 2, code)
    assert codes.subject_of(PURPOSE, link) is None
    assert codes.try_code(PURPOSE, 1, code)
    assert codes.subject_of(other, link) == "1"


@pytest.mark.django_db
def test_a_digest_moved_to_another_purpose_in_the_database_is_refused() -> None:
    code = codes.issue_code(PURPOSE, 1)
    Code.objects.update(purpose="other")

    assert not codes.try_code(codes.Purpose("other"), 1, code)


@pytest.mark.django_db
def test_a_code_expires_and_is_invalidated_by_a_newer_one_or_by_withdrawal(clock: Clock) -> None:
    old, new = (codes.issue_code(PURPOSE, 1) for _ in range(2))
    assert not codes.try_code(PURPOSE, 1, old)
    clock.advance(minutes=15, seconds=-1)
    assert codes.try_code(PURPOSE, 1, new)
    clock.advance(seconds=1)
    assert not codes.try_code(PURPOSE, 1, new)
    assert not codes.redeem(PURPOSE, 1, new)
    third = codes.issue_code(PURPOSE, 1)
    codes.withdraw(PURPOSE, 1)
    assert not codes.try_code(PURPOSE, 1, third)
