"""URLs of the pages about connected apps."""

from django.urls import path

from accounts.oauth import app_pages

urlpatterns = [
    path("accounts/apps/", app_pages.apps, name="apps"),
    path("accounts/apps/<str:client_id>/", app_pages.disconnect, name="app_disconnect"),
]
