"""URLs to change, set and reset the password."""

from django.urls import path

from accounts.password_pages import views

urlpatterns = [
    path("accounts/password/change/", views.change, name="account_change_password"),
    path("accounts/password/set/", views.change, name="account_set_password"),
    path("accounts/password/locked/", views.locked, name="account_locked"),
    path("accounts/password/reset/", views.reset, name="account_reset_password"),
    path(
        "accounts/password/reset/<str:key>/",
        views.ResetLinkView.as_view(),
        name="account_reset_password_key",
    ),
]
