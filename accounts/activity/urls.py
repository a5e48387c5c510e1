"""URLs of the security history."""

from django.urls import path

from accounts.activity import views

urlpatterns = [
    path("accounts/activity/", views.activity, name="activity"),
    path("accounts/activity/activity.csv", views.export, name="activity_csv"),
]
