"""URLs of the OpenID Provider, and of the pages about connected apps.

Those that apps call or send people to have no final slash, as is usual for such endpoints.
"""

from django.urls import path

from accounts.oauth import app_pages, par, token_views, views

urlpatterns = [
    path("oauth/authorize", views.authorize, name="authorize"),
    path("oauth/continue/<str:key>", views.proceed, name="proceed"),
    path("oauth/par", par.push, name="par"),
    path("accounts/apps/", app_pages.apps, name="apps"),
    path("accounts/apps/<str:client_id>/", app_pages.disconnect, name="app_disconnect"),
    path("oauth/token", token_views.token, name="oauth_token"),
]
