"""What an app that sends a person here says about the sign-in: its name, and who may be coming.

The sign-in flow does not know such apps. The package that does registers a function at start.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from accounts.signin import flow


@dataclass(frozen=True)
class Hint:
    """For pages only: nothing decides by it.

    ``app``: the name of the app.
    ``login``: what the person probably types to sign in; empty if unknown. Anybody may choose it.
    """

    app: str
    login: str = ""


type Source = Callable[[HttpRequest, str], Hint | None]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Register a function that gets a request and its ``next`` URL, and may know a hint."""
    _sources.append(source)


def of(request: HttpRequest) -> Hint | None:
    """Return the hint for the ``next`` URL of ``request``; None if it leads to no app."""
    next_url = flow.next_of(request)
    found = (source(request, next_url) for source in _sources) if next_url else iter(())
    return next((hint for hint in found if hint), None)
