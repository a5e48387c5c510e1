"""The size of the tree: it is a promise to whoever reads it (``python -m tests.support.size``)."""

from tests.support.size import packages, sizes

MOST_LINES = 40_744
MOST_FILES = 368
LARGEST_PACKAGE = 3_180
# Lines of tests for each line of code.
MOST_TESTS = 1.293


def test_the_tree_does_not_grow():
    code, tests = sizes("accounts", "authsite"), sizes("tests")

    assert sum(code.values()) <= MOST_LINES
    assert len(code) <= MOST_FILES
    assert max(packages(code).values()) <= LARGEST_PACKAGE
    assert sum(tests.values()) <= MOST_TESTS * sum(code.values())
