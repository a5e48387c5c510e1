"""URLs of the pages about sessions."""

from django.urls import path

from accounts.session_pages import events, views

urlpatterns = [
    path("accounts/sessions/", views.sessions, name="sessions"),
    path("accounts/activity/<int:event_id>/", events.event, name="event"),
]
