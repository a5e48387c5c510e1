"""What the process that sends logout notices tells the server process."""

import json
from typing import Any

import pytest

from accounts.common import metrics
from accounts.oauth.logout_sender import Program, measure
from accounts.users.models import User
from tests.support.logout import ended, told_at


@pytest.mark.django_db
def test_the_metrics_are_those_that_the_process_reports(alice: User, capsys: Any) -> None:
    ended(alice, told_at("https://paperless.example.org/logout"))
    program, failed = Program(), metrics.LOGOUT_NOTICES.labels("failed")
    before = failed._value.get()
    program._sender.outcomes.update(failed=3)

    program._report()
    measure(*json.loads(capsys.readouterr().out))

    assert failed._value.get() == before + 3
    assert metrics.LOGOUT_NOTICES_WAITING._value.get() == 1
    assert not program._sender.outcomes, "no outcome is reported twice"
