"""URLs of the pages about connected apps, and of the endpoints by which apps sign people in."""

from django.urls import path

from accounts.oauth import app_pages, token_views

urlpatterns = [
    path("accounts/apps/", app_pages.apps, name="apps"),
    path("accounts/apps/<str:client_id>/", app_pages.disconnect, name="app_disconnect"),
    path("oauth/token", token_views.token, name="oauth_token"),
]
