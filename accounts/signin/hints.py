"""Hints for the pages of the sign-in: which app the person comes from, and who it may be.

This package does not know apps. ``accounts.oauth`` does, and registers a function at start.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from accounts.signin import flow


@dataclass(frozen=True)
class Hint:
    """What an app tells the pages of the sign-in. No decision may depend on it.

    ``app``: the name of the app.
    ``login``: what the person probably types to sign in; empty if unknown. Anybody may choose it.
    """

    app: str
    login: str = ""


type Source = Callable[[HttpRequest, str], Hint | None]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Register a function that gets a request and its ``next`` URL, and returns a hint or None."""
    _sources.append(source)


def of(request: HttpRequest) -> Hint | None:
    """Return the hint for the ``next`` URL of ``request``; None if it leads to no app."""
    next_url = flow.next_of(request)
    found = (source(request, next_url) for source in _sources) if next_url else iter(())
    return next((hint for hint in found if hint), None)
