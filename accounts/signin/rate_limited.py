"""The page after too many sign-in attempts. It says when to try again, and offers other methods.

The content depends only on the network, the browser and the typed login. Therefore it does not
reveal whether an account exists.
"""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.common.client_info import client_of
from accounts.common.errors import RateLimited
from accounts.signin import flow, mailed_codes
from accounts.signin.forms import LoginForm
from accounts.throttle.limits import UNGUESSABLE, Budget
from accounts.throttle.services import around, waits
from accounts.twofactor import passkeys


def page(request: HttpRequest, form: LoginForm, error: RateLimited) -> HttpResponse:
    """Return the page after the sign-in ``form`` was refused with ``error``.

    The page keeps what was typed, except for the password.
    """
    login, client = form.cleaned_data["login"], client_of(request)
    passkey, code, reset = waits(
        around(UNGUESSABLE, client, "passkey"),
        _own(mailed_codes.budgets_of_request(mailed_codes.CODE, login, client)),
        _own(mailed_codes.budgets_of_request(mailed_codes.RESET, login, client)),
    )
    context = {
        "retry_after": error.retry_after,
        "at": error.retry_at,
        "login": login,
        "remember": form.cleaned_data["remember"],
        "next": flow.next_of(request),
        "passkey_options": json.dumps(passkeys.options_to_sign_in()) if not passkey else "",
        "offers_code": not code,
        "offers_reset": not reset,
    }
    response = render(request, "accounts/signin/later.html", context, status=error.status)
    response["Retry-After"] = str(error.retry_after)
    return response


def _own(budgets: list[Budget]) -> list[Budget]:
    """Return those of ``budgets`` that this client does not share with others."""
    return [budget for budget in budgets if not budget.limit.is_shared]
