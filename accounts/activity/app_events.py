"""The kinds of events about apps that superusers see in their history."""

from django.utils.translation import gettext_lazy as _

from accounts.activity.kinds import Event, Group

APP_REGISTERED = Event("app_registered", Group.CHANGE, _("An app was registered."), mail=True)
# Without an email: whoever has a registration token could fill the mailboxes of all superusers.
APP_SELF_REGISTERED = Event(
    "app_self_registered", Group.CHANGE, _("An app registered itself with a token.")
)
APP_CHANGED = Event("app_changed", Group.CHANGE, _("An app was changed."), mail=True)
APP_SECRET_MADE = Event("app_secret_made", Group.CHANGE, _("An app got a new secret."), mail=True)
APP_DISABLED = Event("app_disabled", Group.CHANGE, _("An app was disabled."), mail=True)
APP_ENABLED = Event("app_enabled", Group.CHANGE, _("An app was enabled."), mail=True)
REGISTRATION_TOKEN_MADE = Event(
    "registration_token_made",
    Group.CHANGE,
    _("A registration token was created."),
    mail=True,
)
REGISTRATION_TOKEN_REVOKED = Event(
    "registration_token_revoked",
    Group.CHANGE,
    _("A registration token was revoked."),
    mail=True,
)
