"""Pages for the first administrator: the one that the owner link opens, and what to do next."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.common.client_info import client_of
from accounts.common.pages import form_page
from accounts.common.proofs import Method, Proof
from accounts.ops import owner
from accounts.passwords.views import with_meter
from accounts.sessions.current import session_of
from accounts.signin import flow
from accounts.signin.forms import NewAccountForm
from accounts.users.forms import UsernameField
from accounts.users.services import EmailTaken, UsernameTaken


class OwnerForm(NewAccountForm):
    """The form for the account of the first administrator."""

    username = UsernameField(by_operator=True)


@login_not_required
@form_page
@with_meter
@sensitive_post_parameters("password1")
def owner_link(request: HttpRequest, token: str) -> HttpResponse:
    """Create the first administrator and sign them in."""
    if not owner.is_good(token):
        return render(request, "accounts/ops/owner_dead.html", status=404)
    form = OwnerForm(request.POST or None)
    if form.is_valid():
        data = form.cleaned_data
        try:
            user = owner.create_owner(
                token, data["username"], data["email"], data["password1"], client_of(request)
            )
            proof = Proof.now(Method.OPERATOR)
            return flow.start_sign_in(request, user, proof, next_url=reverse("what_next"))
        except UsernameTaken as error:
            form.add_error("username", str(error))
        except EmailTaken as error:
            form.add_error("email", str(error))
        except owner.LinkSpent:
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
