"""Public pages about the site for people and programs, the files of the brand, and the owner link.

With the owner link, the first administrator is created without a default password. The server
prints the link in its output, so everyone who can read the output can use the link. The link works
once, for one day, and only while there is no administrator. A newer link replaces it.
"""

from datetime import datetime, time, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import LinkEnded, Purpose
from accounts.common import clock, crypto
from accounts.common.brand.files import brand_of, icon_file
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.localization import days_in_words, spoken
from accounts.common.pages import THEME_LIFE, THEMES, absolute, form_page, safe_next, set_cookie
from accounts.common.proofs import Method, Proof
from accounts.mail import services as mail
from accounts.passwords import services as passwords
from accounts.passwords.views import with_meter
from accounts.recovery.rule import BEFORE, MONTH
from accounts.sessions import last_method
from accounts.sessions.current import session_of
from accounts.signin import flow
from accounts.signin.forms import NewAccountForm
from accounts.throttle import services as throttle
from accounts.twofactor.webauthn import android_apps, apple_apps, web_origins
from accounts.users import services as users
from accounts.users.forms import UsernameField
from accounts.users.models import User
from accounts.users.rights import superusers
from accounts.users.services import EmailTaken, UsernameTaken

# Names contain a hash of the content.
FOREVER = "public, max-age=31536000, immutable"
# An SVG file that is opened as a page runs no script and loads nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@login_not_required
@require_safe
def brand_file(_request: HttpRequest, name: str) -> HttpResponse:
    """Return a file of the operator's brand.

    ``name`` contains a hash of the content. If the file has changed since, the status is 404.
    """
    file = brand_of(settings.AUTHSITE).files.get(name)
    if file is None:
        return HttpResponseNotFound("Not found.\n", content_type="text/plain; charset=utf-8")
    headers = {"Cache-Control": FOREVER, "Content-Security-Policy": POLICY}
    return HttpResponse(file.content, content_type=file.type, headers=headers)


@login_not_required
@require_safe
def site_icon(_request: HttpRequest, name: str) -> HttpResponse:
    """Return the icon that browsers request at a fixed path, such as ``/favicon.ico``."""
    icon = icon_file(brand_of(settings.AUTHSITE).icon, name)
    headers = {"Cache-Control": "public, max-age=86400"}
    return HttpResponse(icon.content, content_type=icon.type, headers=headers)


# The module for pages of other origins, and its types. The names contain the version of the
# interface.
CLIENT = {"authsite-1.js": "text/javascript", "authsite-1.d.ts": "text/plain"}


@login_not_required
@require_safe
def client_file(_request: HttpRequest, name: str) -> HttpResponse:
    """Return a file of the JavaScript module that signs people in by the API."""
    if name not in CLIENT:
        return HttpResponseNotFound("Not found.\n", content_type="text/plain; charset=utf-8")
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cache-Control": "public, max-age=3600",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    text = Path(str(finders.find(name))).read_text()
    return HttpResponse(text, content_type=f"{CLIENT[name]}; charset=utf-8", headers=headers)


@login_not_required
@never_cache
@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Store the theme ``light`` or ``dark`` in this browser; with any other value, delete it."""
    response = redirect(safe_next(request.POST.get("next")) or "home")
    theme = request.POST.get("theme")
    if theme in THEMES:
        set_cookie(response, settings.THEME_COOKIE_NAME, theme, THEME_LIFE)
    else:
        response.delete_cookie(settings.THEME_COOKIE_NAME)
    return response


# RFC 9116 section 2.5.5 recommends less than a year. Each response has a new expiry date.
SECURITY_TXT_LIFE = timedelta(days=180)


@login_not_required
@require_safe
def security_txt(_request: HttpRequest) -> HttpResponse:
    """Return the contact for security problems (RFC 9116)."""
    last_day = (clock.now() + SECURITY_TXT_LIFE).date()
    lines = (
        f"Contact: {settings.AUTHSITE.contact}",
        f"Expires: {datetime.combine(last_day, time()).isoformat()}Z",
        f"Preferred-Languages: {', '.join(code for code, _name in settings.LANGUAGES)}",
        f"Canonical: {absolute('security_txt')}",
    )
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@login_not_required
@require_safe
def change_password(_request: HttpRequest) -> HttpResponse:
    """Redirect to the password page (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect("account_change_password")


@login_not_required
@require_safe
def webauthn(_request: HttpRequest) -> HttpResponse:
    """Return the origins whose pages may use passkeys of this site (WebAuthn 5.11.1)."""
    return JsonResponse({"origins": web_origins()})


@login_not_required
@require_safe
def asset_links(_request: HttpRequest) -> JsonResponse:
    """Return the Android apps that may use the passkeys of this site (Digital Asset Links)."""
    apps = [
        {
            "relation": ["delegate_permission/common.get_login_creds"],
            "target": {
                "namespace": "android_app",
                "package_name": package,
                "sha256_cert_fingerprints": [crypto.decode(digest).hex(":").upper()],
            },
        }
        for digest, package in android_apps()
        if package
    ]
    return JsonResponse(apps, safe=False)


@login_not_required
@require_safe
def apple_association(_request: HttpRequest) -> JsonResponse:
    """Return the apps on Apple's systems that may use the passkeys of this site."""
    return JsonResponse({"webcredentials": {"apps": apple_apps()}})


@login_not_required
@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Show what to do if you cannot sign in, or if someone else may have access."""
    config = settings.AUTHSITE
    contact = _shown(config.site_support) if config.site_support else _contact()
    return render(request, "accounts/ops/help.html", {"contact": contact})


@login_not_required
@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """Show which data is stored, for how long and who receives it, according to the settings."""
    config = settings.AUTHSITE
    context = {
        "contact": _contact(),
        "config": config,
        "session_cookie": settings.SESSION_COOKIE_NAME,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "known_cookie": settings.KNOWN_COOKIE_NAME,
        "trusted_cookie": settings.TRUSTED_COOKIE_NAME,
        "last_method_cookie": settings.LAST_METHOD_COOKIE_NAME,
        "authorize_cookie": settings.AUTHORIZE_COOKIE_NAME,
        "logout_cookie": settings.LOGOUT_COOKIE_NAME,
        "forward_cookie": settings.FORWARD_COOKIE_NAME,
        "language_cookie": settings.LANGUAGE_COOKIE_NAME,
        "theme_cookie": settings.THEME_COOKIE_NAME,
    }
    days = {
        "activity_days": config.activity_days,
        "remembered_life": config.remember_days,
        "last_method_days": last_method.LIFE.days,
        "theme_days": THEME_LIFE.days,
        "language_days": timedelta(seconds=settings.LANGUAGE_COOKIE_AGE).days,
        "csrf_days": timedelta(seconds=settings.CSRF_COOKIE_AGE).days,
        "trusted_days": config.trusted_browser_days,
        "known_days": throttle.RECORD_LIFE.days,
        "former_days": (MONTH + BEFORE).days,
        "receipt_days": mail.KEEP_RECEIPTS.days,
        "name_days": users.FORMER_NAME_LIFE.days,
        "nobodys_days": activity.NOBODYS_LIFE.days,
    }
    context |= {name: days_in_words(count) for name, count in days.items()}
    return render(request, "accounts/ops/privacy.html", context)


def _contact() -> dict[str, str]:
    """Return the contact of the operator as a link and as text."""
    config = settings.AUTHSITE
    return {**_shown(config.security_contact or config.mail_from), "uri": config.contact}


def _shown(uri: str) -> dict[str, str]:
    return {"uri": uri, "words": uri.removeprefix("mailto:")}


LINK = Purpose("owner.link", life=timedelta(days=1))
SITE = "site"


def new_link() -> str | None:
    """Return a new link that creates the first administrator, or None if there already is one."""
    return None if superusers().exists() else absolute("owner", codes.issue_link(LINK, SITE))


def is_good(token: str) -> bool:
    """Return whether the link with this token can still create the first administrator."""
    return codes.subject_of(LINK, token) == SITE and not superusers().exists()


def create_owner(token: str, username: str, email: str, password: str, client: ClientInfo) -> User:
    """Create the first administrator and return the user.

    The email address counts as confirmed, because whoever has the link runs the server.

    Raises:
        LinkEnded: the link was used or has expired, or there is already an administrator.
        UsernameTaken: another account or pending sign-up has the username.
        EmailTaken: the email address belongs to another account.
    """
    hashed = passwords.hash_password(password)
    with transaction.atomic():
        if superusers().exists() or not codes.redeem(LINK, SITE, token):
            raise LinkEnded
        user = users.create_administrator(username, email, hashed, language=spoken())
        record(user, events.SIGNED_UP, Actor(client))
        return user


class OwnerForm(NewAccountForm):
    """The form for the account of the first administrator."""

    username = UsernameField(by_operator=True)


@login_not_required
@form_page
@with_meter
@sensitive_post_parameters("password1")
def owner_link(request: HttpRequest, token: str) -> HttpResponse:
    """Create the first administrator and sign them in."""
    if not is_good(token):
        return render(request, "accounts/ops/owner_dead.html", status=404)
    form = OwnerForm(request.POST or None)
    if form.is_valid():
        data = form.cleaned_data
        try:
            user = create_owner(
                token, data["username"], data["email"], data["password1"], client_of(request)
            )
            proof = Proof.now(Method.OPERATOR)
            return flow.start_sign_in(request, user, proof, next_url=reverse("what_next"))
        except UsernameTaken as error:
            form.add_error("username", str(error))
        except EmailTaken as error:
            form.add_error("email", str(error))
        except LinkEnded:
            return render(request, "accounts/ops/owner_dead.html", status=404)
    return render(request, "accounts/ops/owner.html", {"form": form})


@never_cache
@require_safe
def what_next(request: HttpRequest) -> HttpResponse:
    """Show staff what they can view, set up and read next.

    Raises:
        PermissionDenied: the user is not staff.
    """
    user = session_of(request).user
    if not user.is_staff:
        raise PermissionDenied
    config = settings.AUTHSITE
    context = {
        "config": config,
        "is_branded": bool(config.site_colour or config.site_logo),
        "mail_test": f"python manage.py send_test_mail {user.email}",
        "mail_host": urlsplit(config.email_url).hostname,
        "redirect_uri": f"{config.origin}/accounts/google/login/callback/",
    }
    return render(request, "accounts/ops/what_next.html", context)
