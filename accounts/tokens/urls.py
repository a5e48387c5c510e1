"""URLs of the published signing keys."""

from django.urls import path

from accounts.tokens import views

urlpatterns = [path(".well-known/jwks.json", views.jwks, name="jwks")]
