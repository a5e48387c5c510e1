"""The routes of the API, with those of the OpenID Provider."""

from accounts import api_urls
from accounts.oauth.urls import api_urlpatterns

ROUTES = [*api_urls.urlpatterns, *api_urlpatterns]
