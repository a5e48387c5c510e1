"""The pages that add, rename and remove passkeys."""

import json

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.common.errors import PublicError
from accounts.common.links import absolute
from accounts.common.proofs import Method
from accounts.sessions.current import actor_of
from accounts.signin.policy import Requirement
from accounts.twofactor import new_passkeys
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Passkey
from accounts.twofactor_pages.factor import FactorView
from accounts.twofactor_pages.forms import OptionalNameForm
from accounts.twofactor_pages.guard import AddFactorView


class AddPasskeyView(AddFactorView):
    """Add a passkey, in a session or in a pending sign-in that requires a factor."""

    requirements = (Requirement.ENROLMENT, Requirement.PASSKEY)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(OptionalNameForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = OptionalNameForm(request.POST)
        if "credential" not in request.POST or not form.is_valid():
            return self.show(form)
        credential, name = request.POST["credential"], form.cleaned_data["name"]
        try:
            made = new_passkeys.add(self.user, credential, name, actor_of(request))
            messages.success(request, _("The passkey was added."))
            return self.resume(Method.PASSKEY, made)
        except PublicError as error:
            return self.show(form, passkey_error=str(error))

    def show(self, form: OptionalNameForm, *, passkey_error: str = "") -> HttpResponse:
        """Return the page, with the errors of ``form`` or of a passkey."""
        context = {
            "form": form,
            "passkey_error": passkey_error,
            "must_be_passkey": twofactor.needs_passkey(self.user),
            "options": json.dumps(new_passkeys.options_to_add(self.user)),
        }
        return self.page("accounts/twofactor_pages/passkey_add.html", context)


class PasskeyView(FactorView):
    """Rename or remove a passkey."""

    model = Passkey
    template_name = "accounts/twofactor_pages/passkey.html"
    list_page = "second_factors"


@login_not_required
@require_safe
def endpoints(_request: HttpRequest) -> JsonResponse:
    """Return where passkeys are added and managed (W3C, Passkey Endpoints)."""
    return JsonResponse({"enroll": absolute("passkey_add"), "manage": absolute("passkeys")})
