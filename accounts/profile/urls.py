"""URLs of the home page and the profile page."""

from django.urls import path

from accounts.profile import views

urlpatterns = [
    path("", views.home, name="home"),
    path("accounts/profile/", views.profile, name="profile"),
]
