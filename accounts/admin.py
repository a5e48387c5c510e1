"""Registers the models that the admin site shows."""

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.activity.models import DailyCount
from accounts.administration.admin import UserAdmin
from accounts.administration.invitations import InvitationAdmin
from accounts.administration.overview import OverviewAdmin
from accounts.administration.rights import GroupAdmin
from accounts.invitations.models import Invitation
from accounts.oauth.admin import ClientAdmin
from accounts.oauth.models import Client
from accounts.oauth.registration_admin import RegistrationTokenAdmin
from accounts.oauth.registration_tokens import RegistrationToken
from accounts.users.models import User

admin.site.register(User, UserAdmin)
admin.site.unregister(Group)
admin.site.register(Group, GroupAdmin)
admin.site.register(Invitation, InvitationAdmin)
admin.site.register(DailyCount, OverviewAdmin)
admin.site.register(Client, ClientAdmin)
admin.site.register(RegistrationToken, RegistrationTokenAdmin)
# Hide the models of allauth. Their tables stay empty, because the site has its own models and reads
# the providers from its settings.
for label in (
    "account.EmailAddress",
    "socialaccount.SocialAccount",
    "socialaccount.SocialApp",
    "socialaccount.SocialToken",
):
    admin.site.unregister(apps.get_model(label))
