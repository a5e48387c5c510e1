"""Renders the sign-in page, for most visitors from a copy that was rendered before.

Most requests for this page come from visitors who send nothing but a language: strangers, robots
and floods. Their pages differ only in three secrets. The site renders such a page once for each
language, with marks in the place of the secrets, and fills in new secrets for each visitor.
"""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csp import get_nonce
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string

from accounts.common.config import Config
from accounts.common.languages import spoken
from accounts.sessions import last_method
from accounts.signin import flow, hints
from accounts.signin.forms import LoginForm
from accounts.twofactor import passkeys

TEMPLATE = "accounts/signin/login.html"
# Marks cannot occur in the text of a page, because HTML forbids the character NUL.
TOKEN, NONCE, CHALLENGE = "\0token\0", "\0nonce\0", "\0challenge\0"


# By language: the page with marks, and the settings with which it was rendered.
_pages: dict[str, tuple[Config, str]] = {}


def page(request: HttpRequest, form: LoginForm | None = None, **more: Any) -> HttpResponse:
    """Return the sign-in page with ``more`` in its context.

    ``form`` is the password form, if it is not empty.
    """
    if form or more or not _is_plain(request):
        context = _context(request, passkeys.options_to_sign_in())
        hint = hints.of(request)
        form = form or LoginForm(initial={"login": hint.login} if hint and hint.login else None)
        return render(request, TEMPLATE, context | {"form": form, "hint": hint, **more})
    config, text = _pages.get(spoken(), (None, ""))
    if config is not settings.AUTHSITE:
        text = _with_marks(request)
        _pages[spoken()] = settings.AUTHSITE, text
    text = text.replace(TOKEN, get_token(request)).replace(NONCE, str(get_nonce(request)))
    return HttpResponse(text.replace(CHALLENGE, passkeys.challenge_to_sign_in()))


def _with_marks(request: HttpRequest) -> str:
    """Return the page with marks in the place of the secrets."""
    options = passkeys.options_to_sign_in()
    marks = {"form": LoginForm(), "csrf_token": TOKEN, "csp_nonce": NONCE}
    text = render_to_string(TEMPLATE, _context(request, options) | marks, request)
    return text.replace(options["challenge"], CHALLENGE)


def _is_plain(request: HttpRequest) -> bool:
    """Return whether the request has no query and no cookie but those that every visitor gets."""
    visitors = {settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME}
    # The page has the URL of its request. A query of nothing but "&" has no parameters.
    has_query = bool(request.META.get("QUERY_STRING"))
    return request.method == "GET" and not has_query and request.COOKIES.keys() <= visitors


def _context(request: HttpRequest, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "next": flow.next_of(request),
        "last_used": last_method.of(request),
        "signup_open": settings.AUTHSITE.signup == "open",
        "passkey_options": json.dumps(options),
    }
