"""Pages for whoever runs the site."""

from django.urls import path

from accounts.ops import views

urlpatterns = [path("accounts/owner/<str:token>/", views.owner_link, name="owner")]
