"""URLs for monitoring, the owner link, and public pages about the site."""

from django.urls import path

from accounts.ops import monitoring, public, views

urlpatterns = [
    path("health/live", monitoring.live, name="live"),
    path("health/ready", monitoring.ready, name="ready"),
    path("metrics", monitoring.figures, name="metrics"),
    path("accounts/owner/<str:token>/", views.owner_link, name="owner"),
    path("help/", public.help_page, name="help"),
    path("privacy/", public.privacy, name="privacy"),
    path(".well-known/security.txt", public.security_txt, name="security_txt"),
    path(".well-known/change-password", public.change_password, name="well_known_change_password"),
]
