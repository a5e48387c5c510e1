"""URLs of the sign-up pages."""

from django.urls import path

from accounts.signup import invited, views

urlpatterns = [
    path("accounts/signup/", views.signup, name="account_signup"),
    path("accounts/confirm-email/", views.ConfirmView.as_view(), name="signup_confirm"),
    path("accounts/confirm-email/<str:key>/", views.confirm_link, name="signup_confirm_link"),
    path("accounts/invitation/<str:key>/", invited.invitation, name="invitation"),
]
