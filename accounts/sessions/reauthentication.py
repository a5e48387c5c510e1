"""How long authentication counts as recent, and the page where people reauthenticate.

``signin.policy`` decides which proofs count.
"""

from datetime import timedelta

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

LIFE = timedelta(minutes=10)
# Opening a form requires more recent authentication, so that enough time is left to fill it in.
TO_OPEN = timedelta(minutes=5)


def ask(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the reauthentication page, which leads back to the URL of ``request``."""
    return redirect_to_login(request.get_full_path(), reverse("account_reauthenticate"))
