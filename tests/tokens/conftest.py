"""Fixtures for tests of tokens."""

from tests.acceptance.conftest import configure

__all__ = ["configure"]
