"""App configurations of ``accounts`` and of Django's admin."""

import sys
from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _

# Libraries import these if they are installed, for features that the site does not use. They take
# 10 MB of memory and a fifth of the time of a start.
UNUSED = {
    "rest_framework.compat": (
        "django.contrib.postgres",
        "markdown",
        "pygments",
        "requests",
        "yaml",
    ),
    "ua_parser": ("yaml",),
}


def _import_without(module: str, *packages: str) -> None:
    """Import ``module`` as if those of the ``packages`` that are not loaded were not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    # Importing a module whose entry is None raises ModuleNotFoundError.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is allowed
    try:
        import_module(module)
    finally:
        for name in hidden:
            del sys.modules[name]


for _module, _packages in UNUSED.items():
    _import_without(_module, *_packages)


class AccountsConfig(AppConfig):
    """Configures the app ``accounts``."""

    name = "accounts"
    verbose_name = _("Accounts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the signal receivers and register the system checks."""
        from django.contrib.auth.signals import user_logged_in
        from django.core.checks import register

        from accounts.passwords.checks import pwned_passwords_file

        # The sign-in flow sets ``last_login`` itself.
        user_logged_in.disconnect(dispatch_uid="update_last_login")
        register(pwned_passwords_file)
        for module in ("consequences", "twofactor.protection"):
            import_module(f"accounts.{module}")


class AdminSiteConfig(AdminConfig):
    """Configures Django's admin to use the sign-in flow of the site."""

    default_site = "accounts.signin.adminsite.Site"
