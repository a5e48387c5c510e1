"""URLs of the pages of second factors."""

from django.urls import path

from accounts.twofactor_pages import automatic, overview, passkeys, views

urlpatterns = [
    path("accounts/2fa/", overview.overview, name="second_factors"),
    path("accounts/2fa/emailed-codes/", overview.emailed_codes, name="emailed_codes"),
    path("accounts/2fa/totp/setup/", views.AddAuthenticatorView.as_view(), name="totp_setup"),
    path(
        "accounts/2fa/totp/<int:factor_id>/", views.AuthenticatorView.as_view(), name="totp_change"
    ),
    path("accounts/2fa/passkeys/", overview.overview, name="passkeys"),
    path("accounts/2fa/passkeys/add/", passkeys.AddPasskeyView.as_view(), name="passkey_add"),
    path("accounts/2fa/passkeys/offer/", automatic.offer, name="passkey_offer"),
    path("accounts/2fa/passkeys/<int:factor_id>/", passkeys.PasskeyView.as_view(), name="passkey"),
    path(
        "accounts/2fa/passkeys/<int:factor_id>/confirm/", automatic.confirm, name="passkey_confirm"
    ),
    path("accounts/2fa/trusted/", overview.overview, name="trusted_browsers"),
    path(".well-known/passkey-endpoints", passkeys.endpoints, name="passkey_endpoints"),
    path("accounts/2fa/recovery-codes/", views.recovery_codes, name="recovery_codes"),
    path("accounts/2fa/recovery-codes/file/", views.codes_file, name="recovery_codes_file"),
    path("accounts/2fa/enrol/<str:token>/", views.enrolment_link, name="enrolment_link"),
]
