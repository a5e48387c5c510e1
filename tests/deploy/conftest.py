"""What the tests of the documents and images share."""

import pytest

from tests.support.machines import empty_debian


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """The root file system of an empty Debian."""
    return empty_debian(tmp_path_factory.mktemp("empty"))
