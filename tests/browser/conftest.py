"""What the stories are told with."""

from typing import Any

import pytest


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def scripts(request: pytest.FixtureRequest) -> Any:
    return request.param
