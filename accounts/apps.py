"""The app, and the admin site that is the only one."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AccountsConfig(AppConfig):
    """Accounts."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what listens. Admission notes the last sign-in itself, with its verdict."""
        from django.contrib.auth.signals import user_logged_in

        from accounts.activity.receivers import write_down
        from accounts.kernel.signals import credentials_changed
        from accounts.sessions.receivers import end_others
        from accounts.users.receivers import count

        user_logged_in.disconnect(dispatch_uid="update_last_login")
        # In the order in which a sign-in takes the same rows: in another they could wait for
        # each other.
        for receiver in (count, end_others, write_down):
            credentials_changed.connect(receiver)


class AdminSiteConfig(AdminConfig):
    """Django admin behind the site's own door."""

    default_site = "accounts.signin.adminsite.Site"
