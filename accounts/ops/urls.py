"""URLs for monitoring, the owner link, and public pages about the site."""

from django.urls import path

from accounts.ops import brand, monitoring, public, views
from accounts.ops.doctor import probe

urlpatterns = [
    path("health/live", monitoring.live, name="live"),
    path("health/ready", monitoring.ready, name="ready"),
    path(probe.PATH.lstrip("/"), probe.doctor, name="doctor"),
    path("metrics", monitoring.figures, name="metrics"),
    path("accounts/owner/<str:token>/", views.owner_link, name="owner"),
    path("accounts/what-next/", views.what_next, name="what_next"),
    path("brand/<str:name>", brand.brand_file, name="brand_file"),
    path("help/", public.help_page, name="help"),
    path("privacy/", public.privacy, name="privacy"),
    path(".well-known/security.txt", public.security_txt, name="security_txt"),
    path(".well-known/webauthn", public.webauthn, name="well_known_webauthn"),
    path(".well-known/change-password", public.change_password, name="well_known_change_password"),
]
