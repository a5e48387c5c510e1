"""Only the sign-in flow makes sessions, and it always checks the authentication policy."""

import ast
import dis
import functools
import inspect
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from allauth.account.adapter import get_adapter
from django.contrib import auth
from django.test import Client, RequestFactory
from django.utils.module_loading import import_string

from accounts.apikeys.authentication import KeyAuthentication
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.scim.views import DirectoryAuthentication, IsDirectory
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.signin.policy import AccountInactive
from accounts.signin.session import (
    CompletedSignIn,
    PolicyNotMet,
    establish_api_session,
    establish_session,
)
from accounts.tokens.authentication import Authentication, HasOwnSession, InScope
from accounts.tokens.scopes import AREAS
from tests.support.api_jwt import basic
from tests.support.second_factor import enrolled
from tests.support.standards import proves
from tests.support.steps import PASSWORD, is_signed_in, make_user, sign_in, sign_up
from tests.support.urls import CALLS, OPEN, ROUTES, address

ROOT = Path(__file__).resolve().parents[2]

# Every page that may sign somebody in by a POST, and the callback of the providers.
SIGN_IN_PAGES = (
    "login/ login/code/ login/passkey/ confirm-email/ confirm-email/<str:key>/ owner/<str:token>/ "
    "invitation/<str:key>/ 2fa/challenge/ 2fa/totp/setup/ 2fa/passkeys/add/ 2fa/enrol/<str:token>/ "
    "<provider:provider>/login/callback/ password/reset/<str:key>/ delete/keep/ terms/"
)
# Every endpoint that may give a session to a client.
SIGN_IN_ENDPOINTS = (
    "/api/v1/token/ /api/v1/token/challenge/ /api/v1/token/enrolment/ /api/v1/session/ "
    "/api/v1/login/code/confirm/ /api/v1/session/code/"
)
# Functions that make, show or remove a proof or a session, and the routes that may call them.
GUARDED = {
    "twofactor.services.enrol": "2fa/totp/setup/ /api/v1/factors/totp/ /api/v1/token/enrolment/",
    "twofactor.services.make_recovery_codes": (
        "2fa/recovery-codes/ /api/v1/factors/recovery-codes/"
    ),
    "twofactor.services.remove": (
        "2fa/totp/<int:factor_id>/ 2fa/passkeys/<int:factor_id>/ "
        "/api/v1/factors/totp/<int:id>/ /api/v1/passkeys/<int:id>/"
    ),
    "twofactor.services.set_emailed_codes": "2fa/emailed-codes/ /api/v1/factors/",
    "twofactor.passkeys.add": "2fa/passkeys/add/ /api/v1/passkeys/ /api/v1/token/enrolment/",
    "twofactor.passkeys.add_automatic": "2fa/passkeys/offer/",
    "twofactor.passkeys.confirm": "2fa/passkeys/<int:factor_id>/confirm/",
    "twofactor.trusted_browsers.trust": "2fa/challenge/",
    "recovery.services.remove_factors": (
        "2fa/challenge/ password/reset/<str:key>/ /api/v1/password/reset/confirm/"
    ),
    "recovery.services.cancel": (
        "2fa/recovery/<str:token>/ password/reset/<str:key>/ 2fa/challenge/"
    ),
    "recovery.suspension.put_back": "review/",
    "recovery.suspension.put_back_identity": (
        "review/ 3rdparty/confirm/ <provider:provider>/login/callback/"
    ),
    "twofactor.services.reset": "",
    "twofactor.views.svg": "2fa/totp/setup/",
    "signin.second_step.send_code": "2fa/challenge/ /api/v1/token/challenge/ /api/v1/session/",
    "signin.session.establish_session": SIGN_IN_PAGES,
    "signin.session.establish_api_session": SIGN_IN_ENDPOINTS,
    "sessions.services.new_api_session": SIGN_IN_ENDPOINTS,
    # The callback redeems a code as apps do, but without ``offline_access``.
    "tokens.families.first_token": f"{SIGN_IN_ENDPOINTS} /auth/forward/callback",
    "tokens.token_challenges.issue": (
        "/api/v1/token/ /api/v1/token/challenge/ /api/v1/session/ /api/v1/login/code/confirm/ "
        "/api/v1/session/code/"
    ),
    "signin.session.record_api_reauthentication": "/api/v1/reauthenticate/",
    "tokens.services.exchange": "/api/v1/token/",
    "tokens.services.issue_to_page": "reference/",
    "tokens.families.rotate": "/api/v1/token/refresh/ /api/v1/session/refresh/",
    "apikeys.services.make": "keys/new/ /api/v1/keys/",
    "signup.services.sign_up": "signup/ /api/v1/users/",
    "social.services.user_of": "<provider:provider>/login/callback/",
    "social.services.connect": "<provider:provider>/login/callback/ 3rdparty/confirm/",
    "social.services.disconnect": "3rdparty/ /api/v1/providers/<int:id>/",
    "exports.services.request": "data/ /api/v1/me/exports/",
    "exports.services.fetch": "data/ /api/v1/me/exports/<uuid:id>/",
    "passwords.changes.send_reset": "password/reset/ /api/v1/password/reset/",
    "passwords.changes.reset": "password/reset/<str:key>/ /api/v1/password/reset/confirm/",
    "passwords.changes.change": (
        "password/change/ password/set/ /api/v1/password/change/ /api/v1/password/set/"
    ),
    "deletion.services.request": "delete/ /api/v1/me/",
    "deletion.services.undo": "delete/keep/ delete/undo/<str:token>/",
}


def routes(pages):
    """Return the routes of ``pages``; they are below ``accounts/`` unless they begin with ``/``."""
    return {f"accounts/{page}".rpartition("//")[2] for page in pages.split()}


@functools.cache
def reached_from(view):
    """Return what a view mentions directly or through other code of the site."""
    seen, found = set(), [view]
    while found:
        thing = found.pop()
        thing = inspect.unwrap(getattr(thing, "__func__", thing))
        if isinstance(thing, FunctionType | type) and thing not in seen:
            seen.add(thing)
            found += mentioned_by(thing)
    return seen


def is_ours(thing):
    return thing.__module__.startswith(("accounts.", "authsite."))


@functools.cache
def mentioned_by(function):
    """Return what a function or class of the site mentions; nothing for code of libraries."""
    if not is_ours(function):
        return []
    if isinstance(function, type):
        # What it inherits counts too.
        things = [
            thing for base in function.__mro__ if is_ours(base) for thing in vars(base).values()
        ]
        return [getattr(thing, "fget", thing) for thing in things]
    steps = list(dis.get_instructions(function))
    names = {step.argval for step in steps if step.opname == "LOAD_GLOBAL"}
    mentioned = [function.__globals__.get(name) for name in names]
    modules = [thing for thing in mentioned if isinstance(thing, ModuleType)]
    attributes = {step.argval for step in steps if step.opname in {"LOAD_ATTR", "LOAD_METHOD"}}
    return mentioned + [getattr(module, name, None) for module in modules for name in attributes]


def view_of(callback):
    """The class behind the function that ``as_view`` makes, or the function."""
    return getattr(callback, "cls", getattr(callback, "view_class", callback))


def pages_that_lead_to(goal):
    views = {route: view_of(entry.callback) for route, entry in ROUTES.items()}
    return {route for route, view in views.items() if inspect.unwrap(goal) in reached_from(view)}


@proves("V6.3.4")
def test_only_the_listed_views_reach_each_function_that_changes_authentication():
    """Withstands a programmer's mistake."""
    for maker, pages in GUARDED.items():
        assert pages_that_lead_to(import_string(f"accounts.{maker}")) == routes(pages), maker


@functools.cache
def calls_of_the_site():
    """Return pairs of a file and the name of a function that it calls."""
    return {
        (str(path.relative_to(ROOT)), ast.unparse(node.func))
        for folder in ("accounts", "authsite")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }


OWNERS = {
    "signin/flow.py": "establish_session",
    "signin/session.py": "auth.login",
    "tokens/services.py": "establish_api_session sessions.new_api_session",
    "oauth/codes.py": "app_sessions.new",
    "tokens/services.py oauth/app_sessions.py": "families.first_token",
    "tokens/services.py oauth/token_views.py": (
        "families.rotate families.repeat AccessToken.issue"
    ),
    "tokens/authentication.py": "services.authenticate_by_password",
    (
        "tokens/access.py tokens/signatures.py oauth/id_tokens.py oauth/logout.py "
        "webhooks/services.py"
    ): "keyring.signer",
    "tokens/signatures.py": "key.key.sign",
}


# Where the views of libraries are. Operators may add apps with views of their own.
LIBRARIES = ("allauth.", "django.", "django_otp.", "drf_spectacular.", "rest_framework")


def test_each_step_to_a_session_is_called_only_where_it_belongs():
    for owners, names in OWNERS.items():
        for name in names.split():
            found = {path for path, called in calls_of_the_site() if called == name}
            assert found == {f"accounts/{owner}" for owner in owners.split()}, name


def test_no_view_of_allauth_or_of_django_contrib_auth_is_routed():
    """Withstands a programmer's mistake."""
    homes = {entry.callback.__module__ for entry in ROUTES.values()}

    # The admin adds a translation catalogue, a redirect and "view on site".
    assert {home.rpartition(".")[0] for home in homes if home.startswith(LIBRARIES)} <= {
        "django.contrib.admin",
        "django.contrib.contenttypes",
        "django.views",
        "django.views.generic",
    }


@proves("V6.3.4")
def test_right_credentials_sent_to_any_other_view_sign_nobody_in():
    """Withstands a programmer's mistake."""
    make_user("carol", is_staff=True, is_superuser=True)
    everything = {
        **{"login": "carol", "username": "carol", "email": "carol@example.org"},
        **{"password": PASSWORD, "password1": PASSWORD, "next": "/admin/"},
        "grant_type": "password",
    }
    for route in set(ROUTES) - routes(f"{SIGN_IN_PAGES} {SIGN_IN_ENDPOINTS}"):
        kind = {"content_type": "application/json"} if route in CALLS else {}
        for headers in ({}, {"authorization": basic("carol", PASSWORD)}):
            answer = Client(headers=headers).post(address(route), everything, **kind)
            assert answer.status_code < 500, route
            assert b'"access":"' not in answer.content, route

    assert not LoginSession.objects.exists()


@proves("V8.3.1")
def test_every_endpoint_is_public_or_uses_the_sites_own_authentication_and_scopes():
    """Withstands a programmer's mistake.

    No endpoint is a stock view or has authentication or permission classes of its own.
    """
    # The OpenAPI description and its pages are plain Django views.
    for route in CALLS - {"api/v1/schema/", "api/v1/docs/"}:
        view = ROUTES[route].callback.cls
        assert not view.__module__.startswith(LIBRARIES), route
        if route in OPEN:
            assert (*view.authentication_classes, *view.permission_classes) == (), route
        elif view.permission_classes == (HasOwnSession,):
            # A narrow token may reauthenticate, so that it can do what it was issued for.
            assert route == "api/v1/reauthenticate/"
        elif route.startswith("scim/v2/"):
            assert view.authentication_classes == (DirectoryAuthentication,), route
            assert view.permission_classes == (IsDirectory,), route
        else:
            assert view.authentication_classes == [KeyAuthentication, Authentication], route
            assert all(issubclass(known, InScope) for known in view.permission_classes), route
            assert view.permission_classes, route
            assert view.area in {*AREAS, "admin"}, route


def test_djangos_authenticate_never_accepts_a_password():
    """Withstands a programmer's mistake."""
    make_user("alice")

    assert auth.authenticate(username="alice", password=PASSWORD) is None
    assert auth.authenticate(RequestFactory().post("/"), login="alice", password=PASSWORD) is None


def test_establishing_a_session_always_checks_the_authentication_policy():
    """Withstands a programmer's mistake: a view creates a session by itself.

    This holds for sessions of browsers and of API clients.
    """
    client, proofs = ClientInfo("192.0.2.1", "curl/8"), (Proof.now(Method.PASSWORD),)
    alice, bob, mallory = (make_user(name) for name in ("alice", "bob", "mallory"))
    enrolled(bob)
    mallory.is_active = False
    request = Client().get("/accounts/login/").wsgi_request

    for user, shown, error in (
        (alice, (), PolicyNotMet),
        (bob, proofs, PolicyNotMet),
        (mallory, proofs, AccountInactive),
    ):
        with pytest.raises(error):
            establish_session(request, CompletedSignIn(user, shown))
        login = sessions.new_api_session(
            user, proofs, client, kind=LoginSession.Kind.API, scope="read"
        )
        with pytest.raises(error):
            establish_api_session(CompletedSignIn(user, shown), login, client)
    assert "_auth_user_id" not in request.session
    assert not LoginSession.objects.exists()


def test_allauths_own_sign_in_is_refused_by_the_adapter():
    request = Client().get("/accounts/login/").wsgi_request

    with pytest.raises(PolicyNotMet):
        get_adapter().login(request, make_user("alice"))
    with pytest.raises(PolicyNotMet):
        get_adapter().authenticate(request, username="alice", password=PASSWORD)


@proves("V7.4.2", "63B-4.5")
def test_an_unconfirmed_or_inactive_user_has_no_valid_session():
    unconfirmed, browser, alice = Client(), Client(), make_user("alice")
    sign_up(unconfirmed, "mallory")
    assert sign_in(unconfirmed, "mallory")["Location"] == "/accounts/confirm-email/"
    assert not is_signed_in(unconfirmed)
    sign_in(browser, "alice")
    assert is_signed_in(browser)

    type(alice).objects.update(is_active=False)

    assert not is_signed_in(browser)
    assert sign_in(Client(), "alice")["Location"] == "/accounts/inactive/"
