"""The base class of the pages of one authenticator app and of one passkey."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import View

from accounts.common.errors import PublicError
from accounts.common.pages import form_page
from accounts.lockdown.access import Access
from accounts.sessions.current import actor_of, renew_key, session_of
from accounts.signin.recent import recent_authentication_required
from accounts.twofactor import removal
from accounts.twofactor.errors import OnlyPasskeyLeft, Required
from accounts.twofactor.models import Authenticator, Passkey
from accounts.twofactor_pages.forms import RenameForm
from accounts.users.services import AccountChanged


@method_decorator(
    [
        form_page,
        recent_authentication_required,
    ],
    name="dispatch",
)
class FactorView(View):
    """Rename or remove one second factor of the signed-in user.

    The page says what the removal does, or why the factor cannot be removed.
    """

    model: type[Authenticator] | type[Passkey]
    template_name: str
    # The name of the URL of the page that lists these factors.
    list_page: str
    factor: Authenticator | Passkey

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user, factor_id = session_of(request).user, kwargs["factor_id"]
        factor = self.model.objects.filter(user=user, pk=factor_id).first()
        if factor is None:
            raise Http404
        self.factor = factor
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, factor_id: int) -> HttpResponse:
        return self.show(RenameForm({"name": self.factor.name}))

    def post(self, request: HttpRequest, factor_id: int) -> HttpResponse:
        if "remove" in request.POST:
            return self.remove()
        form = RenameForm(request.POST)
        return self.rename(form.cleaned_data["name"]) if form.is_valid() else self.show(form)

    def show(self, form: RenameForm) -> HttpResponse:
        """Return the page, with the errors of ``form``."""
        user = session_of(self.request).user
        context = {
            "form": form,
            "row": self.factor,
            "refusal": self.refusal(),
            "is_last": removal.is_last(user, self.factor),
            "access": Access(user, session_of(self.request).pk),
        }
        return render(self.request, self.template_name, context)

    def refusal(self) -> str:
        """Return why the factor cannot be removed; an empty string if it can."""
        try:
            removal.refuse_removal(session_of(self.request).user, self.factor)
        except PublicError as error:
            return str(error)
        return ""

    def rename(self, name: str) -> HttpResponse:
        """Give the factor another name."""
        user, actor = session_of(self.request).user, actor_of(self.request)
        removal.rename(self.model, user, self.factor.pk, name, actor)
        messages.success(self.request, _("Renamed."))
        return redirect(self.list_page)

    def remove(self) -> HttpResponse:
        """Remove the factor, which revokes every other session."""
        session = session_of(self.request)
        actor = actor_of(self.request).by(*session.amr)
        try:
            removal.remove(self.model, session.user, self.factor.pk, actor)
        except (Required, OnlyPasskeyLeft, AccountChanged) as error:
            messages.error(self.request, str(error))
            return redirect(self.list_page)
        renew_key(self.request)
        messages.success(self.request, _("Removed. You’ve been signed out everywhere else."))
        return redirect(self.list_page)
