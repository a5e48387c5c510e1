"""What the admin site shows, gathered."""

from django.apps import apps
from django.contrib import admin

from accounts.users.admin import UserAdmin
from accounts.users.models import User

admin.site.register(User, UserAdmin)
# allauth's table holds nothing here: addresses are ours.
admin.site.unregister(apps.get_model("account", "EmailAddress"))
