"""Lockdown, from inside and from the link of a mail."""

from django.urls import path

from accounts.lockdown import views

urlpatterns = [
    path("accounts/lockdown/", views.lockdown, name="lockdown"),
    path("accounts/lockdown/<str:token>/", views.lockdown_link, name="lockdown_link"),
]
