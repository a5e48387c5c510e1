"""Pages to sign in with a password, a passkey or an emailed code, and to sign out.

The page after too many attempts depends only on the network, the browser and the typed login.
Therefore it does not reveal whether an account exists.

Most requests for the sign-in page come from visitors whose only header of interest is the language:
strangers, robots and floods. Their pages differ only in three secrets. The site renders such a page
once for each language, with placeholders for the secrets, and fills in new secrets for each
visitor.

A passkey also verifies the user, so it counts as both steps of a sign-in.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.middleware.csp import get_nonce
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import set_language

from accounts.codes.forms import CodeForm
from accounts.common.client_info import client_of
from accounts.common.config import Config
from accounts.common.errors import Busy, RateLimited
from accounts.common.localization import spoken
from accounts.common.pages import allow_provider_redirects, form_page, theme_of, typed
from accounts.common.proofs import Method, Proof
from accounts.sessions import current, last_method
from accounts.sessions.current import actor_of, request_auth_of
from accounts.signin import flow, mailed_codes, services
from accounts.signin.forms import LoginForm, WhoForm
from accounts.signin.mailed_codes import CodeRequest
from accounts.signin.policy import Requirement
from accounts.signin.session import sign_out
from accounts.terms import services as terms
from accounts.throttle.limits import UNGUESSABLE, Budget
from accounts.throttle.services import Levels, around
from accounts.twofactor import passkeys
from accounts.twofactor.errors import LockedAccountPasskey, UnknownPasskey, WrongPasskey
from accounts.twofactor.webauthn import rp_id

# Sets the cookie ``LANGUAGE_COOKIE_NAME``, and redirects to ``next`` if it is a page of this site.
choose = login_not_required(never_cache(require_POST(set_language)))


def rate_limited_page(request: HttpRequest, form: LoginForm, error: RateLimited) -> HttpResponse:
    """Return the page that says when to try again, after too many sign-ins with a password.

    It offers the methods that this browser may still use, and keeps the typed text except for the
    password.
    """
    login, client = form.cleaned_data["login"], client_of(request)
    groups = (
        around(UNGUESSABLE, client, "passkey"),
        _own(mailed_codes.budgets_of_request(mailed_codes.CODE, login, client)),
        _own(mailed_codes.budgets_of_request(mailed_codes.RESET, login, client)),
    )
    levels = Levels(*(budget for group in groups for budget in group))
    passkey, code, reset = map(levels.wait, groups)
    context = {
        "retry_after": error.retry_after,
        "at": error.retry_at,
        "login": login,
        "remember": form.cleaned_data["remember"],
        "next": flow.next_of(request),
        "passkey_options": json.dumps(passkeys.options_to_sign_in()) if not passkey else "",
        "offers_code": not code and not settings.AUTHSITE.is_strict,
        "offers_reset": not reset,
    }
    response = render(request, "accounts/signin/later.html", context, status=error.status)
    response["Retry-After"] = str(error.retry_after)
    return response


def _own(budgets: list[Budget]) -> list[Budget]:
    """Return the rate limits among ``budgets`` that this client does not share with others."""
    return [budget for budget in budgets if not budget.limit.is_shared]


TEMPLATE = "accounts/signin/login.html"
# These placeholders cannot occur in the text of a page, because HTML forbids the character NUL.
TOKEN, NONCE, CHALLENGE = "\0token\0", "\0nonce\0", "\0challenge\0"


# By language and theme: the page with placeholders, and the settings with which it was rendered.
_pages: dict[tuple[str, str], tuple[Config, str]] = {}


def login_page(request: HttpRequest, form: LoginForm | None = None, **more: Any) -> HttpResponse:
    """Return the sign-in page.

    ``form``: the submitted form for the password, with its errors; None for an empty form.
    ``more``: further values for the context of the template.
    """
    if form or more or not _is_plain(request):
        context = _context(request, passkeys.options_to_sign_in())
        hint = flow.of(request)
        suggested = request.session.pop(flow.SUGGESTED, "")
        login = suggested or (hint.login if hint else "")
        form = form or LoginForm(initial=typed(request) or ({"login": login} if login else None))
        if form.initial.get("login"):
            del form.fields["login"].widget.attrs["autofocus"]
            form.fields["password"].widget.attrs["autofocus"] = True
        return render(request, TEMPLATE, context | {"form": form, "hint": hint, **more})
    key = spoken(), theme_of(request)
    config, text = _pages.get(key, (None, ""))
    if config is not settings.AUTHSITE:
        text = _with_marks(request)
        _pages[key] = settings.AUTHSITE, text
    text = text.replace(TOKEN, get_token(request)).replace(NONCE, str(get_nonce(request)))
    return HttpResponse(text.replace(CHALLENGE, passkeys.challenge_to_sign_in()))


def _with_marks(request: HttpRequest) -> str:
    """Return the page with placeholders for the secrets."""
    options = passkeys.options_to_sign_in()
    marks = {"form": LoginForm(), "csrf_token": TOKEN, "csp_nonce": NONCE}
    text = render_to_string(TEMPLATE, _context(request, options) | marks, request)
    return text.replace(options["challenge"], CHALLENGE)


def _is_plain(request: HttpRequest) -> bool:
    """Return whether the request has no query, and only cookies that every visitor gets."""
    visitors = {
        settings.CSRF_COOKIE_NAME,
        settings.LANGUAGE_COOKIE_NAME,
        settings.THEME_COOKIE_NAME,
    }
    # The page contains the URL of its request. Even a query without parameters, such as "&",
    # changes it.
    has_query = bool(request.META.get("QUERY_STRING"))
    is_new = request.method == "GET" and not has_query and not typed(request)
    return is_new and request.COOKIES.keys() <= visitors


def _context(request: HttpRequest, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "next": flow.next_of(request),
        "last_used": last_method.of(request),
        "signup_open": settings.AUTHSITE.signup == "open",
        "passkey_options": json.dumps(options),
    }


type View = Callable[..., HttpResponse]


def home_if_signed_in(view: View) -> View:
    """Decorate a page for people who are not signed in.

    A signed-in user is redirected to the ``next`` URL or the home page. If the session cookie comes
    from a browser that did not sign in, the user must reauthenticate first.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return redirect(flow.next_of(request) or settings.LOGIN_REDIRECT_URL)
        if request_auth_of(request).needs_reauthentication:
            return current.redirect_to_reauthenticate(request)
        return view(request, **kwargs)

    return wrapped


@login_not_required
@form_page
@allow_provider_redirects
@sensitive_post_parameters("password")
@home_if_signed_in
def login(request: HttpRequest) -> HttpResponse:
    """Sign in with a username or email address, and a password.

    With ``?other``, the pending sign-in of this browser is discarded first.
    """
    if "other" in request.GET:
        flow.discard(request)
    if request.method != "POST":
        return login_page(request)
    if "again" in request.POST:
        # The page of another form posts here: show the login that was typed there.
        form = LoginForm(initial=request.POST.dict())
    else:
        form = LoginForm(request.POST)
    if form.is_valid():
        try:
            return _sign_in(request, form)
        except RateLimited as error:
            if isinstance(error, Busy):
                raise  # Other methods, which the page would offer, would not help
            return rate_limited_page(request, form, error)
        except services.LockedAccountPassword as error:
            return flow.recover(request, error.user, Proof.now(Method.PASSWORD))
        except services.InvalidCredentials as error:
            form.add_error(None, str(error))
    return login_page(request, form)


def _sign_in(request: HttpRequest, form: LoginForm) -> HttpResponse:
    login, password = form.cleaned_data["login"], form.cleaned_data["password"]
    account, must_replace = services.verify_password(login, password, client_of(request))
    next_url = flow.next_of(request)
    services.keep_next(account, next_url)
    if must_replace:
        query = urlencode({"reason": "stolen", "next": next_url})
        next_url = f"{reverse('account_change_password')}?{query}"
    proof, remember = Proof.now(Method.PASSWORD), form.cleaned_data["remember"]
    return flow.start_sign_in(
        request,
        account,
        proof,
        remember=remember,
        next_url=next_url,
        button=last_method.PASSWORD,
    )


@login_not_required
@form_page
@sensitive_post_parameters("password")
@home_if_signed_in
def login_code(request: HttpRequest) -> HttpResponse:
    """Sign in with an emailed code: ask for the username or email address, then for the code.

    The code is accepted only in the browser that has requested it.
    """
    code_request = mailed_codes.find_code_request(request)
    if "code" in request.POST and code_request:
        return _sign_in_by_code(request, code_request)
    if "ask" in request.POST and not request.POST.get("login", "").strip():
        # The sign-in page posts here without a login.
        return _ask_for_login(request, WhoForm(initial=request.POST.dict()))
    if "login" in request.POST:
        return _mail_code(request)
    if "code" in request.POST:
        sentence = _(
            "You asked for that code in another browser, or the code is too old. Ask for a new one."
        )
        messages.warning(request, sentence)
    if code_request and "other" not in request.GET:
        return _ask_for_code(request, code_request, CodeForm())
    return _ask_for_login(request, WhoForm(initial=typed(request)))


def _ask_for_login(request: HttpRequest, form: WhoForm) -> HttpResponse:
    context = {"form": form, "next": flow.next_of(request)}
    return render(request, "accounts/signin/code_ask.html", context)


def _mail_code(request: HttpRequest) -> HttpResponse:
    form = WhoForm(request.POST)
    if not form.is_valid():
        return _ask_for_login(request, form)
    login, remember = form.cleaned_data["login"], form.cleaned_data["remember"]
    code_request = mailed_codes.make(login, remember=remember, next_url=flow.next_of(request))
    mailed_codes.send_code(login, code_request.nonce, client_of(request))
    mailed_codes.store(request, code_request)
    return redirect("login_code")


def _sign_in_by_code(request: HttpRequest, code_request: CodeRequest) -> HttpResponse:
    login, nonce, client = code_request.login, code_request.nonce, client_of(request)
    form = CodeForm(request.POST)
    proved = form.check(
        lambda code: mailed_codes.verify_mailed_code(login, nonce, code, client),
        lambda: mailed_codes.send_code(login, nonce, client),
    )
    if proved is None:
        return _ask_for_code(request, code_request, form)
    mailed_codes.discard(request)
    user, proof = proved
    return flow.start_sign_in(
        request,
        user,
        proof,
        remember=code_request.remember,
        next_url=code_request.next_url,
        button=last_method.EMAIL,
    )


def _ask_for_code(request: HttpRequest, code_request: CodeRequest, form: CodeForm) -> HttpResponse:
    wait = mailed_codes.seconds_to_next_mail(code_request.login, client_of(request))
    context = {"form": form, "asked": code_request, "resend_wait": wait}
    return render(request, "accounts/signin/code.html", context)


@login_not_required
@form_page
def logout(request: HttpRequest) -> HttpResponse:
    """Sign out on a POST request. A GET request only asks for confirmation.

    Otherwise, any page could sign the user out, because any page can make a browser send a GET
    request. With ``next``, the sign-in page opens that page after the next sign-in.
    """
    request_auth, next_url = request_auth_of(request), flow.next_of(request)
    sign_in_page = redirect_to_login(next_url) if next_url else redirect(settings.LOGIN_URL)
    if not request_auth.presented:
        flow.discard(request)
        return sign_in_page
    if request.method != "POST":
        return render(request, "accounts/signin/logout.html")
    sign_out(request)
    messages.success(request, _("You’re signed out."))
    return sign_in_page


@login_not_required
@form_page
def accept_terms(request: HttpRequest) -> HttpResponse:
    """Ask to accept the current terms, the last requirement of a sign-in; record the answer.

    The button sends the version of the terms that the page has shown.
    """
    sign_in = flow.find_pending(request)
    if sign_in is None:
        return flow.restart(request)
    if sign_in.requirement is not Requirement.TERMS:
        return flow.resume(request, sign_in)
    if request.POST.get("terms") == settings.AUTHSITE.terms_version:
        actor = actor_of(request).by(*(proof.method for proof in sign_in.proofs))
        terms.accept(sign_in.user, settings.AUTHSITE.terms_version, actor)
        return flow.resume(request, sign_in)
    config = settings.AUTHSITE
    context = {"owner": sign_in.user, "url": config.terms_url, "version": config.terms_version}
    return render(request, "accounts/signin/terms.html", context)


@login_not_required
@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Show the page for a deactivated account."""
    return render(request, "accounts/signin/inactive.html", status=403)


@login_not_required
@form_page
@allow_provider_redirects
@home_if_signed_in
def login_passkey(request: HttpRequest) -> HttpResponse:
    """Sign in with the response of a passkey, which also identifies the user."""
    if "credential" not in request.POST:
        next_url = flow.next_of(request)
        return redirect_to_login(next_url) if next_url else redirect(settings.LOGIN_URL)
    try:
        user, proof = passkeys.sign_in(request.POST["credential"], actor_of(request))
    except UnknownPasskey as error:
        unknown = json.dumps({"rpId": rp_id(), "unknown": error.credential_id})
        return login_page(request, passkey_error=str(error), signal=unknown)
    except LockedAccountPasskey as error:
        return flow.recover(request, error.user, error.proof)
    except WrongPasskey as error:
        return login_page(request, passkey_error=str(error))
    return flow.start_sign_in(
        request,
        user,
        proof,
        remember=bool(request.POST.get("remember")),
        next_url=flow.next_of(request),
        button=last_method.PASSKEY,
    )
