"""URLs of the pages for email addresses."""

from django.urls import path

from accounts.emails import views

urlpatterns = [
    path("accounts/email/", views.EmailView.as_view(), name="account_email"),
    path("accounts/email/confirm/<str:key>/", views.confirm_link, name="address_confirm"),
]
