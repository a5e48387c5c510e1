"""Defines how long authentication stays recent, and redirects to the reauthentication page.

``signin.policy`` decides which proofs count.
"""

from datetime import timedelta

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

RECENT = timedelta(minutes=10)
# Opening a form requires more recent authentication, so that the user has enough time to fill the
# form in.
RECENT_TO_OPEN = timedelta(minutes=5)


def redirect_to_reauthenticate(request: HttpRequest, *, back: str = "") -> HttpResponseRedirect:
    """Redirect to the reauthentication page, which then redirects to ``back``.

    If ``back`` is empty, it redirects to the URL of ``request``.
    """
    return redirect_to_login(back or request.get_full_path(), reverse("account_reauthenticate"))
