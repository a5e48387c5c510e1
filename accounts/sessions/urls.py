"""Where one is signed in."""

from django.urls import path

from accounts.sessions import views

urlpatterns = [path("accounts/sessions/", views.sessions, name="sessions")]
