"""What the stories are told with."""

from typing import Any

import pytest


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.proof), False], ids=["scripts", "no scripts"]
)
def scripts(request: pytest.FixtureRequest) -> Any:
    """Whether the browser runs any: no story may need them.

    With them, ``make test`` walks through every page, and tells the stories that are ``BOTH_WAYS``.
    """
    return request.param
