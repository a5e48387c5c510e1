"""Pages to sign in with a password or an emailed code, and to sign out."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.codes.forms import CodeForm
from accounts.common.client_info import client_of
from accounts.common.errors import Busy, RateLimited
from accounts.common.pages import allow_provider_redirects, form_page
from accounts.common.proofs import Method, Proof
from accounts.sessions import last_method, reauthentication
from accounts.sessions.current import request_auth_of
from accounts.signin import (
    code_requests,
    flow,
    login_page,
    mailed_codes,
    pending,
    rate_limited,
    services,
)
from accounts.signin.code_requests import CodeRequest
from accounts.signin.forms import LoginForm, WhoForm
from accounts.signin.session import sign_out

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
            return reauthentication.redirect_to_reauthenticate(request)
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
        pending.discard(request)
    if request.method != "POST":
        return login_page.page(request)
    if "again" in request.POST:
        # From a page that keeps what was typed: show it in the form.
        form = LoginForm(initial=request.POST.dict())
    else:
        form = LoginForm(request.POST)
    if form.is_valid():
        try:
            return _sign_in(request, form)
        except RateLimited as error:
            if isinstance(error, Busy):
                raise  # Other ways to sign in, which the page offers, would not help.
            return rate_limited.page(request, form, error)
        except services.LockedAccountPassword as error:
            return flow.recover(request, error.user, Proof.now(Method.PASSWORD))
        except services.InvalidCredentials as error:
            form.add_error(None, str(error))
    return login_page.page(request, form)


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

    The code is accepted only in the browser that has asked for it.
    """
    code_request = code_requests.find(request)
    if "code" in request.POST and code_request:
        return _sign_in_by_code(request, code_request)
    if "ask" in request.POST and not request.POST.get("login", "").strip():
        # From the sign-in page, where nothing was typed yet.
        return _ask_for_login(request, WhoForm(initial=request.POST.dict()))
    if "login" in request.POST:
        return _mail_code(request)
    if "code" in request.POST:
        sentence = _(
            "You asked for that code in another browser, or it’s too old. Ask for a new one."
        )
        messages.warning(request, sentence)
    if code_request and "other" not in request.GET:
        return _ask_for_code(request, code_request, CodeForm())
    return _ask_for_login(request, WhoForm())


def _ask_for_login(request: HttpRequest, form: WhoForm) -> HttpResponse:
    context = {"form": form, "next": flow.next_of(request)}
    return render(request, "accounts/signin/code_ask.html", context)


def _mail_code(request: HttpRequest) -> HttpResponse:
    form = WhoForm(request.POST)
    if not form.is_valid():
        return _ask_for_login(request, form)
    login, remember = form.cleaned_data["login"], form.cleaned_data["remember"]
    code_request = code_requests.make(login, remember=remember, next_url=flow.next_of(request))
    mailed_codes.send_code(login, code_request.nonce, client_of(request))
    code_requests.store(request, code_request)
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
    code_requests.discard(request)
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
    """Sign out if this is a POST request. A GET request only asks for confirmation.

    Otherwise, any page could sign the user out, because any page can make a browser send a GET
    request. With ``next``, the sign-in page opens that page after the next sign-in.
    """
    request_auth, next_url = request_auth_of(request), flow.next_of(request)
    sign_in_page = redirect_to_login(next_url) if next_url else redirect(settings.LOGIN_URL)
    if not request_auth.presented:
        pending.discard(request)
        return sign_in_page
    if request.method != "POST":
        return render(request, "accounts/signin/logout.html")
    sign_out(request)
    messages.success(request, _("You’re signed out."))
    return sign_in_page


@login_not_required
@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Show the page that says that the account is deactivated."""
    return render(request, "accounts/signin/inactive.html", status=403)
