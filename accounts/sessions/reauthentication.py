"""How long a proof is recent, and where people reauthenticate. What counts: ``signin.policy``."""

from datetime import timedelta

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

LIFE = timedelta(minutes=10)
# Whoever opens a form is asked earlier: what is left is for filling it in.
TO_OPEN = timedelta(minutes=5)


def ask(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the page where people reauthenticate, which leads back here."""
    return redirect_to_login(request.get_full_path(), reverse("account_reauthenticate"))
