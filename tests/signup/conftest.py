"""Fixtures of the tests of signing up."""

from tests.acceptance.conftest import configure

__all__ = ["configure"]
