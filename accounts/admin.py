"""Registers the models that the admin site shows."""

from django.contrib import admin

from accounts.oauth.admin import ClientAdmin
from accounts.oauth.models import Client
from accounts.oauth.registration_admin import RegistrationTokenAdmin
from accounts.oauth.registration_tokens import RegistrationToken

admin.site.register(Client, ClientAdmin)
admin.site.register(RegistrationToken, RegistrationTokenAdmin)
