"""URLs to lock an account, to object to a recovery, and to review what a lock suspended."""

from django.urls import path

from accounts.lockdown import views

urlpatterns = [
    path("accounts/lockdown/", views.lockdown, name="lockdown"),
    path("accounts/lockdown/<str:token>/", views.lockdown_link, name="lockdown_link"),
    path("accounts/recovery/", views.object_from_inside, name="recovery"),
    path("accounts/2fa/recovery/<str:token>/", views.object_by_link, name="recovery_cancel"),
    path("accounts/review/", views.review, name="review"),
]
