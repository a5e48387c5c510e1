"""The routes of the API, with those of the OpenID Provider."""

from accounts import api_urls
from accounts.oauth import api_urls as of_apps

ROUTES = [*api_urls.urlpatterns, *of_apps.urlpatterns]
