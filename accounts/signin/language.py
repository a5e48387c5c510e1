"""The choice of a language before the sign-in. A user's own language takes its place afterwards."""

from django.contrib.auth.decorators import login_not_required
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

# Sets the cookie ``LANGUAGE_COOKIE_NAME``, and redirects to ``next`` if it is a page of this site.
choose = login_not_required(never_cache(require_POST(set_language)))
