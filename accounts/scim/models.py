"""The models of directories, and of the people and groups that they manage."""

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.activity.models import SCIM
from accounts.activity.services import Actor
from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.secrets import ID_LENGTH
from accounts.common.text import refuse_invisible
from accounts.users.models import User

LONGEST_NAME = 30
# RFC 7643 limits neither. A user principal name of Entra ID has up to 113 characters.
LONGEST_USER_NAME = LONGEST_EXTERNAL_ID = 254
LONGEST_KEY = 3 * LONGEST_USER_NAME


class Directory(models.Model):
    """Another system that manages people here by SCIM. It belongs to the site, not to a person.

    ``token_id``, ``digest``: the public id of its token, and the digest of the text of the token.
    ``former_id``, ``former_digest``: the same for the former token, which is valid until
        ``former_until``.
    ``made_by``: the id of the member of staff who created the current token, if any.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    name = models.CharField(
        _("name"),
        max_length=LONGEST_NAME,
        unique=True,
        validators=[refuse_invisible],
        help_text=_("The people whom it manages can read it."),
    )
    token_id = models.CharField(max_length=ID_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    former_id = models.CharField(max_length=ID_LENGTH, default="", db_index=True, editable=False)
    former_digest = models.CharField(max_length=64, default="", editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    made_by = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)

    # The text of a token that was just created. It is not stored.
    new_secret = ""

    class Meta:
        default_permissions = ("add", "change", "view")
        verbose_name = _("directory")
        verbose_name_plural = _("directories")

    def __str__(self) -> str:
        return self.name

    def actor(self, client: ClientInfo | None) -> Actor:
        """Return the directory as an actor for the security history. ``client``: its client."""
        return Actor(client, name=f"{SCIM}{self.name}")


class ManagedUser(models.Model):
    """A person whom a directory manages.

    ``user_name``: the ``userName`` of the directory, and ``user_name_key`` its canonical form. If
        it is not allowed as a username, as an email address is not, the person has another username
        here.
    ``is_switched_off``: whether the directory has deactivated the account. A directory cannot
        reactivate an account that staff have deactivated.
    """

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="managed"
    )
    directory = models.ForeignKey(
        Directory, on_delete=models.PROTECT, related_name="people", db_index=False
    )
    user_name = models.CharField(max_length=LONGEST_USER_NAME)
    user_name_key = models.CharField(max_length=LONGEST_KEY)
    external_id = models.CharField(max_length=LONGEST_EXTERNAL_ID, blank=True, default="")
    is_switched_off = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=("directory", "user_name_key"), name="one_person_for_a_user_name"
            ),
            models.UniqueConstraint(
                fields=("directory", "external_id"),
                name="one_person_for_an_external_id",
                condition=~Q(external_id=""),
            ),
        )
        indexes = (
            models.Index(fields=("directory", "created_at", "user"), name="people_of_a_directory"),
        )

    def __str__(self) -> str:
        return self.user_name


class ManagedGroup(models.Model):
    """A group whose members include people that a directory manages.

    ``id``: the id that the directory reads. It is not the primary key of the group, which some
        databases use again after the group is deleted.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="managed")
    directory = models.ForeignKey(Directory, on_delete=models.PROTECT, related_name="groups")
    external_id = models.CharField(max_length=LONGEST_EXTERNAL_ID, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=("directory", "external_id"),
                name="one_group_for_an_external_id",
                condition=~Q(external_id=""),
            ),
        )

    def __str__(self) -> str:
        return self.group.name
