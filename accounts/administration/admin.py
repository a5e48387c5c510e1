"""The admin pages of users, without passwords and other secrets.

``accounts.administration.roles`` decides which acts a member of staff may do.
"""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.options import ActionLocation
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import path
from django.utils.translation import gettext as _

from accounts.activity.models import DailyCount
from accounts.administration import act_views, rights_views, roles
from accounts.administration.overview_views import OverviewAdmin
from accounts.administration.people_views import PeopleAdmin
from accounts.administration.rights_views import InvitationAdmin, is_superuser
from accounts.invitations.models import Invitation
from accounts.signin.adminsite import always_open
from accounts.signin.recent import recent_authentication_required
from accounts.users.models import User
from accounts.users.rights import Role, role_of


class UserAdmin(PeopleAdmin):
    """The admin pages of users. A form changes rights; acts of staff change everything else."""

    form = rights_views.UserForm

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin, of its search, of the acts on a user and of bulk acts."""
        act = self.admin_site.admin_view(act_views.act)
        bulk_act = self.admin_site.admin_view(act_views.bulk_act)
        # ``always_open`` lets auditors send this form, so the view itself requires recent
        # authentication.
        details = self.admin_site.admin_view(
            always_open(recent_authentication_required(self.details))
        )
        find = self.admin_site.admin_view(self.find)
        return [
            path("find/", find, name="accounts_user_find"),
            path("<uuid:id>/change/details/", details, name="accounts_user_details"),
            path(
                "<uuid:id>/change/known/",
                self.admin_site.admin_view(self.known),
                name="accounts_user_known",
            ),
            path("<uuid:id>/change/<slug:name>/", act, name="accounts_user_act"),
            path("bulk/<uuid:id>/", bulk_act, name="accounts_user_bulk_act"),
            *super().get_urls(),
        ]

    def get_actions(
        self, request: HttpRequest, action_location: Any = ActionLocation.CHANGE_LIST
    ) -> dict[str, Any]:
        """Return the bulk acts of the list. The page about a user has acts of its own."""
        if action_location is not ActionLocation.CHANGE_LIST:
            return {}
        return act_views.actions_for(cast(User, request.user))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the fields that the signed-in member of staff may change in the rights of ``obj``.

        Managers change the staff status and the groups of a user. Superusers also change single
        permissions and the superuser status.
        """
        fields = rights_views.FIELDS if is_superuser(request) else ("is_staff", "groups")
        return ((None, {"fields": (*fields, "reason")}),)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None, **kwargs: Any
    ) -> Any:
        """Return the form field for the groups or the permissions of a user.

        The field offers only those that the signed-in member of staff may give to others.
        """
        if db_field.name == "groups":
            return rights_views.groups_field(cast(User, cast(HttpRequest, request).user))
        return rights_views.rights_field(_("Single rights"))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save only the fields that the form has changed.

        Saving all fields would undo a password change that happened meanwhile. A change of rights
        is recorded and revokes the user's sessions, and the user is notified by email.
        """
        changed = set(form.changed_data) - {"reason"}
        obj.save(update_fields=changed & {"is_staff", "is_superuser"})
        rights_views.tell_changes(request, obj, form)

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return False: users sign up themselves, and the admin neither adds nor deletes them."""
        return False

    has_delete_permission = has_add_permission

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return whether the signed-in user has a role."""
        return role_of(cast(User, request.user)) is not None

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return whether the signed-in user may change the rights of ``obj``."""
        staff = cast(User, request.user)
        if obj is None:
            return role_of(staff) in {Role.MANAGER, Role.SUPERUSER}
        return roles.may_change_rights(staff, obj)

    has_module_permission = has_view_permission


admin.site.register(User, UserAdmin)
admin.site.unregister(Group)
admin.site.register(Group, rights_views.GroupAdmin)
admin.site.register(Invitation, InvitationAdmin)
admin.site.register(DailyCount, OverviewAdmin)
# Hide the models of allauth. Their tables are empty, because the site has its own models and reads
# the providers from its settings.
for model in [model for model in admin.site._registry if model.__module__.startswith("allauth.")]:
    admin.site.unregister(model)
