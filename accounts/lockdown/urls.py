"""URLs to lock an account, object to a recovery, and review what a lock has suspended."""

from django.urls import path

from accounts.lockdown import views

urlpatterns = [
    path("accounts/lockdown/", views.lockdown, name="lockdown"),
    path("accounts/lockdown/<str:token>/", views.lockdown_link, name="lockdown_link"),
    path("accounts/recovery/", views.object_from_inside, name="recovery"),
    path("accounts/2fa/recovery/<str:token>/", views.object_by_link, name="recovery_cancel"),
    path("accounts/review/", views.review, name="review"),
]
