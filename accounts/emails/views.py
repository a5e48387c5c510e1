"""Pages of the email addresses of the signed-in user."""

from collections.abc import Callable
from functools import partial
from typing import cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import View

from accounts.codes import services as codes
from accounts.codes.forms import CodeForm
from accounts.codes.services import LinkEnded
from accounts.common.client_info import client_of
from accounts.common.errors import PublicError
from accounts.common.pages import form_page, typed
from accounts.common.proofs import Method
from accounts.common.text import row_id
from accounts.emails import services
from accounts.emails.models import PendingEmail
from accounts.sessions import current
from accounts.sessions.current import actor_of, session_of
from accounts.signin import recent
from accounts.users.forms import EmailField
from accounts.users.models import EmailAddress, User
from accounts.users.services import AccountChanged

# The key, in the session data, of the new address that will replace the primary one.
REPLACES = "replacing_email"


class AddEmailForm(forms.Form):
    """The form to add an email address."""

    email = EmailField()


@login_not_required
@form_page
def refuse(request: HttpRequest, token: str) -> HttpResponse:
    """Remove an address that Support has added to an account of somebody else."""
    state = "ask" if services.find_vouched(token) else "dead"
    if request.method == "POST":
        try:
            services.refuse(token, current.actor_without_session_of(request).by(Method.MAIL))
            state = "done"
        except LinkEnded:
            state = "dead"
    status = LinkEnded.status if state == "dead" else 200
    return render(request, "accounts/emails/refuse.html", {"state": state}, status=status)


@method_decorator(form_page, name="dispatch")
class EmailView(View):
    """Show the email addresses; add, confirm or remove one, or make one primary.

    Confirming an address by its code requires only a session. Every other change, including the
    replacement of the primary address, requires recent authentication.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        if "confirm" in request.POST and "replace" not in request.POST:
            return self.confirm()
        if not recent.has_recent_authentication(request):
            return self.reauthenticate()
        try:
            return self.change()
        except AccountChanged as error:
            messages.error(request, str(error))
            return redirect("account_email")

    @property
    def user(self) -> User:
        """The signed-in user."""
        return session_of(self.request).user

    def change(self) -> HttpResponse:
        """Make the change that the button in the request names."""
        posted = self.request.POST
        if "confirm" in posted:
            return self.confirm()
        if "again" in posted:
            return self.send_again()
        if "cancel" in posted:
            services.cancel(self.user, posted["cancel"])
            return redirect("account_email")
        if "primary" in posted:
            sentence = _("%(email)s is now your primary address.")
            return self.change_one(posted["primary"], services.make_primary, sentence)
        if "remove" in posted:
            sentence = _("%(email)s was removed.")
            return self.change_one(posted["remove"], services.remove, sentence)
        return self.add()

    def add(self) -> HttpResponse:
        """Email a code and a link to a new address."""
        form = AddEmailForm(self.request.POST)
        if form.is_valid():
            try:
                row = services.add(self.user, form.cleaned_data["email"], client_of(self.request))
                self.request.session[REPLACES] = row.email if "instead" in self.request.POST else ""
                return _redirect_to_list(
                    self.request, _("We’ve emailed a code to the new address.")
                )
            except (services.OwnEmail, services.TooManyEmails) as error:
                form.add_error("email", str(error))
        return self.show(form=form)

    def confirm(self) -> HttpResponse:
        """Add an unconfirmed address to the account if the typed code is right."""
        row = self.pending_row("confirm")
        replaces = "replace" in self.request.POST
        self.request.session[REPLACES] = row.email if replaces else ""
        form = CodeForm(self.request.POST, auto_id=f"id_{row.pk}_%s")
        if form.is_valid():
            try:
                code, former = form.cleaned_data["code"], self.user.email
                actor = actor_of(self.request)
                added = services.confirm_by_code(row, code, actor, replaces=replaces)
                return _redirect_to_list(self.request, _added(added, former if replaces else ""))
            except codes.UsedUp:
                # The new email replaces the row, and so the form for it.
                send = partial(services.add, self.user, row.email, client_of(self.request))
                messages.warning(self.request, codes.renewed(send))
                return redirect("account_email")
            except services.WrongCode as error:
                form.add_error("code", str(error))
        return self.show(tried=(row, form))

    def send_again(self) -> HttpResponse:
        """Email another code and link to an unconfirmed address."""
        row = self.pending_row("again")
        services.add(self.user, row.email, client_of(self.request))
        return _redirect_to_list(self.request, _("We’ve sent another email."))

    def change_one(self, number: str, act: Callable[..., object], sentence: str) -> HttpResponse:
        """Call ``act`` to change a confirmed email address, and show ``sentence`` afterwards.

        ``number``: the posted id of the email address.
        ``act``: a function that makes the change and returns the row of the email address.
        ``sentence``: a message, in which ``%(email)s`` is replaced.
        """
        try:
            row = act(self.user, row_id(number), actor_of(self.request))
        except PublicError as error:
            messages.error(self.request, str(error))
            return redirect("account_email")
        return _redirect_to_list(self.request, sentence % {"email": row})

    def reauthenticate(self) -> HttpResponse:
        """Redirect to the reauthentication page, which then redirects back to this page.

        The form then contains the email address that was typed.
        """
        typed = self.request.POST.get("email")
        back = f"{self.request.path}?{urlencode({'email': typed})}" if typed else ""
        return current.redirect_to_reauthenticate(self.request, back=back)

    def pending_row(self, button: str) -> PendingEmail:
        """Return the unconfirmed address for which the form was posted.

        ``button``: the name of the button that posted the form.
        """
        row = services.find_pending(self.user, self.request.POST[button])
        if row is None:
            raise Http404
        return row

    def show(
        self,
        *,
        form: AddEmailForm | None = None,
        tried: tuple[PendingEmail, CodeForm] | None = None,
    ) -> HttpResponse:
        """Return the page. ``form`` and ``tried`` contain the errors to show.

        ``tried``: an unconfirmed address, and the form with the code that was typed for it.
        """
        forms = {tried[0].pk: tried[1]} if tried else {}
        waiting = [
            {
                "row": row,
                "form": forms.get(row.pk) or CodeForm(auto_id=f"id_{row.pk}_%s"),
                "wait": services.seconds_to_next_mail(row),
                "replaces": row.email == self.request.session.get(REPLACES),
            }
            for row in services.pending_of(self.user)
        ]
        context = {
            "addresses": services.confirmed(self.user),
            "waiting": waiting,
            "form": form
            or AddEmailForm(
                initial=typed(self.request) or {"email": self.request.GET.get("email")}
            ),
        }
        return render(self.request, "accounts/emails/email.html", context)


@form_page
def confirm_link(request: HttpRequest, key: str) -> HttpResponse:
    """Add an email address to the account with the emailed link.

    Only a POST request adds the address, because mail scanners open links with GET requests. Only
    the user who requested the link can use it.
    """
    row = services.find_pending_by_link(cast(User, request.user), key)
    if row is None:
        return render(request, "accounts/emails/dead.html", status=404)
    if request.method != "POST":
        replaces = row.email == request.session.get(REPLACES)
        context = {"email": row.email, "replaces": replaces}
        return render(request, "accounts/emails/confirm.html", context)
    former = row.user.email if "replace" in request.POST else ""
    if former and not recent.has_recent_authentication(request):
        return current.redirect_to_reauthenticate(request)
    try:
        added = services.confirm_by_link(row, key, actor_of(request), replaces=bool(former))
    except services.WrongCode:
        return render(request, "accounts/emails/dead.html", status=404)
    return _redirect_to_list(request, _added(added, former))


def _added(added: EmailAddress, former: str) -> str:
    """Return the message about the new address ``added``, which replaces ``former`` if given."""
    if not former:
        return _("The address was added.")
    sentence = _("%(email)s is now your address. %(former)s was removed.")
    return sentence % {"email": added, "former": former}


def _redirect_to_list(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return redirect("account_email")
