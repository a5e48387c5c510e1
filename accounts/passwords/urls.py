"""URL of the strength meter."""

from django.urls import path

from accounts.passwords import views

urlpatterns = [
    path("accounts/password/strength/", views.strength, name="password_strength"),
]
