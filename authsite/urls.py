"""The root URLs of the site."""

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

admin.autodiscover()

handler400 = "authsite.errors.bad_request"
handler500 = "authsite.errors.server_error"

urlpatterns = [
    # API calls are the most frequent requests, and patterns are tried in order.
    path("api/v1/", include("accounts.api_urls")),
    path("", include("accounts.urls")),
    path("admin/", admin.site.urls),
    # For the directories of organizations.
    path("scim/v2/", include("accounts.scim.views")),
]
if apps.is_installed("accounts.oauth"):
    # These URLs come before the pages, because every sign-in to an app requests them.
    urlpatterns.insert(1, path("", include("accounts.oauth.urls")))
