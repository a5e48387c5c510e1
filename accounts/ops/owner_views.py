"""The owner link, which creates the first administrator, and what to do next.

The owner link replaces a default password. The server prints the link in its output, so everyone
who can read the output can use the link. The link works once, for one day, and only while there is
no administrator. A newer link replaces it.
"""

from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.codes import services as codes
from accounts.codes.services import LinkEnded, Purpose
from accounts.common.client_info import ClientInfo, client_of
from accounts.common.localization import spoken
from accounts.common.pages import absolute, form_page
from accounts.common.proofs import Method, Proof
from accounts.passwords import services as passwords
from accounts.passwords.views import with_meter
from accounts.sessions.current import session_of
from accounts.signin import flow
from accounts.signin.forms import NewAccountForm
from accounts.users import services as users
from accounts.users.forms import UsernameField
from accounts.users.models import User
from accounts.users.rights import superusers
from accounts.users.services import EmailTaken, UsernameTaken

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

    The email address counts as confirmed, because the person who has the link runs the server.

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
    """Show staff what they can look at, set up and read next.

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
