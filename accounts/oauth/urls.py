"""URLs of the OpenID Provider, and of the pages and API calls about connected apps.

URLs that apps call, or to which they redirect, have no final slash, as is usual for such endpoints.
"""

from django.urls import include, path

from accounts.oauth import (
    app_views,
    forward,
    token_views,
    views,
)
from accounts.oauth.api import AppsView, AppView
from accounts.oauth.clients import registration

api_urlpatterns = [
    path("apps/", AppsView.as_view(), name="api-apps"),
    path("apps/<path:client_id>/", AppView.as_view(), name="api-app"),
]
urlpatterns = [
    path("oauth/authorize", views.authorize, name="authorize"),
    path("oauth/continue/<str:key>", views.proceed, name="proceed"),
    path("oauth/par", views.push, name="par"),
    path("oauth/device_authorization", app_views.authorize_device, name="authorize_device"),
    path("oauth/device", app_views.device, name="device"),
    path("oauth/register", registration.register, name="register"),
    path("accounts/apps/", app_views.apps, name="apps"),
    path("accounts/apps/<client_id:client_id>/", app_views.disconnect, name="app_disconnect"),
    path("oauth/logos/<client_id:client_id>/<str:version>.png", app_views.logo, name="app_logo"),
    path("oauth/token", token_views.token, name="oauth_token"),
    path("oauth/logout", app_views.logout, name="oauth_logout"),
    path("oauth/revoke", token_views.revoke, name="oauth_revoke"),
    path("oauth/introspect", token_views.introspect, name="introspect"),
    path("oauth/userinfo", token_views.userinfo, name="userinfo"),
    path("auth/forward", forward.check, name="forward"),
    path("auth/forward/callback", forward.callback, name="forward_callback"),
    path(".well-known/openid-configuration", token_views.provider, name="openid_configuration"),
    path(".well-known/oauth-authorization-server", token_views.provider, name="oauth_metadata"),
    path(".well-known/oauth-protected-resource", token_views.resource, name="resource_metadata"),
    path("api/v1/", include(api_urlpatterns)),
]
