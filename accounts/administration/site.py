"""The admin of this site: its areas, and the list of open needs on its first page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from accounts.mail import services as mail
from accounts.recovery.models import Recovery
from accounts.signin import adminsite
from accounts.users.models import User
from accounts.users.rights import role_of

# By model: the icon and the description of each area, in the order of the pages.
AREAS: dict[str, tuple[str, str | Promise]] = {
    "accounts.user": ("users", _("Find people, see why they can’t sign in, and help them.")),
    "accounts.invitation": ("mail", _("Invite people, and see who hasn’t accepted yet.")),
    "auth.group": ("shield", _("What members of staff may do, and groups that apps see.")),
    "oauth.client": ("apps", _("Apps to which people sign in with their accounts here.")),
    "oauth.registrationtoken": ("key", _("Tokens with which apps register themselves.")),
    "webhooks.endpoint": ("out", _("Other systems that hear of events, and what they answered.")),
    "accounts.dailycount": ("info", _("How many people sign in and how, and what fails.")),
}


class Site(adminsite.Site):
    """Django's admin with the areas of this site instead of Django's apps."""

    enable_nav_sidebar = False

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return one list of all areas. Apps of the operator are at its end."""
        models = [
            # The first page counts the rows of some areas. Other pages do not call this.
            model
            | {"shown": AREAS.get(model["model"]._meta.label_lower)}
            | {"number": model["model"]._default_manager.count}
            for app in super().get_app_list(request, app_label)
            for model in app["models"]
        ]
        order = {label: place for place, label in enumerate(AREAS)}
        models.sort(key=lambda model: order.get(model["model"]._meta.label_lower, len(order)))
        return [{"name": _("Areas"), "app_label": "", "app_url": "", "models": models}]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the context of every page, with whether the signed-in user may search people."""
        searches = isinstance(request.user, User) and role_of(request.user) is not None
        return super().each_context(request) | {"searches_people": searches}

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the first page: the search, the open needs and the areas."""
        context = self.each_context(request)
        needs = open_needs() if context["searches_people"] else []
        return super().index(request, {"needs": needs, **(extra_context or {})})

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> Any:
        """Redirect to the first page, which shows all areas."""
        return redirect("admin:index")


# What needs somebody: the rows, the sentence, and the page of the admin that shows it.
NEEDS: list[tuple[Callable[[], Any], Any, str]] = [
    (
        Recovery.disputed,
        ngettext_lazy(
            "%(n)s person asks support to decide who owns an account.",
            "%(n)s people ask support to decide who owns an account.",
            "n",
        ),
        "accounts/user/?state=dispute",
    ),
    (
        Recovery.current,
        ngettext_lazy(
            "%(n)s account waits for its recovery. Stop the request if the owner didn’t ask.",
            "%(n)s accounts wait for their recovery. Stop a request if the owner didn’t ask.",
            "n",
        ),
        "accounts/user/?state=recovery",
    ),
    (
        mail.refused,
        ngettext_lazy(
            "The mail server has refused the recipient of %(n)s email. We’ll try it again for "
            "five days. The command doctor says whether the server refuses everybody.",
            "The mail server has refused the recipients of %(n)s emails. We’ll try them again for "
            "five days. The command doctor says whether the server refuses everybody.",
            "n",
        ),
        "accounts/dailycount/#mail",
    ),
    (
        mail.undelivered_notices,
        ngettext_lazy(
            "%(n)s security notice of the last seven days couldn’t be delivered.",
            "%(n)s security notices of the last seven days couldn’t be delivered.",
            "n",
        ),
        "accounts/dailycount/#lost",
    ),
]


def open_needs() -> list[tuple[str, str, Recovery | None]]:
    """Return what needs somebody now: sentences, each with the URL of a page about it.

    If it is about one person, the recovery of this person is returned, too.
    """
    found = []
    for find, sentence, page in NEEDS:
        if number := find().count():
            row = find().first() if number == 1 and page.startswith("accounts/user/") else None
            found.append((sentence % {"n": number}, f"{reverse('admin:index')}{page}", row))
    return found
