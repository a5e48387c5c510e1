"""Which forms can be sent again after they failed the CSRF check, and what people see of them.

Everything that would be sent is shown, so that a forged form cannot hide a value. A form with a
field that is not listed here, such as a password, a code or the id of a row, is not offered again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common.links import safe_next


@dataclass(frozen=True)
class Form:
    """A form that can be sent again.

    ``title``: what the form does.
    ``button``: the label of the button that sends it again.
    ``fields``: the labels of its fields, by their names.
    ``dropped``: the names of secrets, which are left out and typed again.
    ``fixed``: values that are sent in addition.
    """

    title: str | Promise
    button: str | Promise
    fields: Mapping[str, str | Promise] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict)


LOGIN: dict[str, str | Promise] = {
    "login": _("Username or email address"),
    "remember": _("Keep me signed in"),
}
# By the name of the URL to which the form is sent. The name includes the namespace, because an app
# of the operator may use the same names.
FORMS = {
    "account_login": Form(
        _("Sign in"),
        _("Back to sign-in"),
        LOGIN,
        dropped=frozenset({"password"}),
        fixed={"again": "1"},
    ),
    "login_code": Form(_("Sign in with a code"), _("Email me a code"), LOGIN),
    "account_reset_password": Form(_("Set a new password"), _("Send the link"), LOGIN),
    "account_logout": Form(_("Sign out"), _("Sign out")),
    "account_email": Form(
        _("Add an email address"), _("Add this address"), {"email": _("Email address")}
    ),
    "profile": Form(
        _("Save your profile"),
        _("Save"),
        {
            "display_name": _("Display name"),
            "about": _("About you"),
            "language": _("Language"),
            "time_zone": _("Time zone"),
        },
    ),
}


def context_of(request: HttpRequest) -> dict[str, Any]:
    """Return the template context of a form that failed the CSRF check.

    ``expired`` is the form if it can be sent again, else None. Values from another site are never
    shown, because one click on the button would complete the attack of that site.
    """
    context: dict[str, Any] = {"again": safe_next(request.path) or "/", "expired": None}
    match = request.resolver_match
    form = FORMS.get(match.view_name) if match else None
    if form is None or not _is_from_this_site(request):
        return context
    left_out = {*form.dropped, "next", "csrfmiddlewaretoken"}
    sent = {name: request.POST.get(name, "") for name in request.POST if name not in left_out}
    next_url = safe_next(request.POST.get("next"))
    if not sent.keys() <= form.fields.keys():
        return context
    rows = [(form.fields[name], value) for name, value in sent.items() if value]
    hidden = {**sent, **form.fixed} | ({"next": next_url} if next_url else {})
    return context | {"expired": form, "rows": rows, "next": next_url, "hidden": hidden.items()}


def _is_from_this_site(request: HttpRequest) -> bool:
    return request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}"
