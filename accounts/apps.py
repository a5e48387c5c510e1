"""App configurations of ``accounts`` and of Django's admin."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Configures the app ``accounts``."""

    name = "accounts"
    verbose_name = _("Accounts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the signal receivers and register the system checks."""
        from django.contrib.auth.signals import user_logged_in
        from django.core.checks import register

        from accounts.passwords.strength import pwned_passwords_file

        # The sign-in flow sets ``last_login`` itself.
        user_logged_in.disconnect(dispatch_uid="update_last_login")
        register(pwned_passwords_file)
        for module in ("consequences", "twofactor.services"):
            import_module(f"accounts.{module}")


class AdminSiteConfig(SimpleAdminConfig):
    """Configures Django's admin to use the sign-in flow of the site.

    ``authsite.urls`` registers its pages, so that commands do not import them.
    """

    default_site = "accounts.administration.site.Site"
