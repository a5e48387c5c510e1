"""URLs of the OpenID Provider, and of the pages about connected apps.

Those that apps call or send people to have no final slash, as is usual for such endpoints.
"""

from django.urls import path

from accounts.oauth import (
    app_pages,
    device_pages,
    discovery,
    logout,
    par,
    registration,
    token_state,
    token_views,
    userinfo,
    views,
)

urlpatterns = [
    path("oauth/authorize", views.authorize, name="authorize"),
    path("oauth/continue/<str:key>", views.proceed, name="proceed"),
    path("oauth/par", par.push, name="par"),
    path("oauth/device_authorization", device_pages.authorize_device, name="authorize_device"),
    path("oauth/device", device_pages.device, name="device"),
    path("oauth/register", registration.register, name="register"),
    path("accounts/apps/", app_pages.apps, name="apps"),
    path("accounts/apps/<client_id:client_id>/", app_pages.disconnect, name="app_disconnect"),
    path("oauth/logos/<client_id:client_id>/<str:version>.png", app_pages.logo, name="app_logo"),
    path("oauth/token", token_views.token, name="oauth_token"),
    path("oauth/logout", logout.logout, name="oauth_logout"),
    path("oauth/revoke", token_state.revoke, name="oauth_revoke"),
    path("oauth/introspect", token_state.introspect, name="introspect"),
    path("oauth/userinfo", userinfo.userinfo, name="userinfo"),
    path(".well-known/openid-configuration", discovery.provider, name="openid_configuration"),
    path(".well-known/oauth-authorization-server", discovery.provider, name="oauth_metadata"),
    path(".well-known/oauth-protected-resource", discovery.resource, name="resource_metadata"),
]
