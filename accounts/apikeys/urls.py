"""URLs of the API key pages."""

from django.urls import path

from accounts.apikeys import views

urlpatterns = [
    path("accounts/keys/", views.keys, name="api_keys"),
    path("accounts/keys/new/", views.new_key, name="api_key_new"),
]
