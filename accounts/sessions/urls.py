"""URLs of the sessions page."""

from django.urls import path

from accounts.sessions import views

urlpatterns = [path("accounts/sessions/", views.sessions, name="sessions")]
