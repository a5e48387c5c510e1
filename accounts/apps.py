"""The app, and the admin site that is the only one."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AccountsConfig(AppConfig):
    """Accounts."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"


class AdminSiteConfig(AdminConfig):
    """Django admin behind the site's own door."""

    default_site = "accounts.signin.adminsite.Site"
