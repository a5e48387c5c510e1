"""Users, the names and addresses they hold, and the sign-ups that are not users yet."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, secrets, time_zones
from accounts.common.errors import PublicError
from accounts.common.hashes import hasher_of
from accounts.common.signals import credentials_changed
from accounts.users import emails, profiles, usernames

# Marks an account that was locked down until a new password is set: no usable hash begins so.
LOCKED = "!locked "
LONGEST_HASH = 128


def locked_password(former_hash: str | None = None) -> str:
    """Return what stands in place of the password of a locked account: no usable hash.

    ``former_hash`` is the hash of the password that proves ownership in the dispute. In the same
    row, looking at it costs a sign-in nothing that would tell strangers of the lock.
    """
    locked = LOCKED + (former_hash or make_password(None))
    # Of an algorithm that isn't ours; PostgreSQL would refuse it.
    return locked if len(locked) <= LONGEST_HASH else locked_password()


class UserManager(BaseUserManager["User"]):
    """What Django's own commands and backends ask for."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user of that name, in any case."""
        return self.get(username_key=usernames.key(username or ""))

    def create_superuser(
        self, username: str, email: str = "", password: str | None = None
    ) -> "User":
        """An administrator, for ``createsuperuser``; the operator vouches for the address."""
        from accounts.users import services  # noqa: PLC0415 they stand on this module

        try:
            return services.create_administrator(username, email, make_password(password))
        except (PublicError, ValueError) as error:
            raise ValidationError(str(error)) from None


class User(AbstractBaseUser, PermissionsMixin):
    """A person. ``id`` is public and can't be guessed; it is the subject of every token."""

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    username = models.CharField(_("username"), max_length=usernames.MAX_LENGTH, unique=True)
    username_key = models.CharField(max_length=usernames.KEY_LENGTH, unique=True, editable=False)
    email = models.EmailField(_("email address"), max_length=emails.MAX_LENGTH, blank=True)
    display_name = models.CharField(max_length=profiles.DISPLAY_NAME_LENGTH, blank=True)
    about = models.CharField(max_length=profiles.ABOUT_LENGTH, blank=True)
    # Empty until it's known: pages then speak as the browser asks, mails as the site does.
    language = models.CharField(max_length=10, blank=True)
    time_zone = models.CharField(max_length=64, default=time_zones.DEFAULT)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=clock.now, editable=False)
    # Counts changes of credentials: a proof or mailed link of an earlier version is void.
    credential_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # When this password was set; null if with the account, or before moments were stored.
    password_at = models.DateTimeField(null=True, editable=False)
    # The moment of the change for which the account was locked; null after the owner's review.
    disputed_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    @property
    def is_privileged(self) -> bool:
        """Whether the person may enter the admin: staff or superuser."""
        return self.is_staff or self.is_superuser

    def has_usable_password(self) -> bool:
        """Return whether any password fits: none fits a hash that the site cannot verify.

        Its owner is offered what people without a password are offered: a code by email, and a
        first password.
        """
        return hasher_of(self.password) is not None

    @property
    def is_locked_down(self) -> bool:
        """Whether a new password must be set before anything else opens the account."""
        return self.password.startswith(LOCKED)

    @property
    def former_hash(self) -> str:
        """The hash of the password from before the dispute; an unusable one if none is kept."""
        return self.password.removeprefix(LOCKED)

    @property
    def is_disputed(self) -> bool:
        """Whether the locked account is opened by the rule of ``accounts.users.disputes``.

        An account that ``after_restore`` or the previous version of the site locked has no disputed
        change: a mailed link opens it, with a second factor if it holds one.
        """
        return self.is_locked_down and self.disputed_at is not None

    @cached_property
    def group_names(self) -> list[str]:
        """The groups that the person is in, by name."""
        return sorted(self.groups.values_list("name", flat=True))

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's. A password set Django's way (``changepassword``) is told to everybody."""
        is_changed = getattr(self, "_password", None) is not None and not self._state.adding
        if is_changed:
            # The rest was read before the password was typed, and may have changed meanwhile.
            fields = kwargs.get("update_fields") or ["password"]
            kwargs["update_fields"] = [*fields, "password_at"]
        with transaction.atomic():
            if is_changed:
                from accounts.users import former_credentials  # noqa: PLC0415 it stands on this module

                self.password_at = clock.now()
                former_credentials.keep_password(User.objects.get(pk=self.pk), self.password_at)
            super().save(*args, **kwargs)
            if is_changed:
                credentials_changed.send(
                    User, user=self, event="password_changed", actor=None, keep=None
                )


class Username(models.Model):
    """A name that is held: by a user for good, by a pending sign-up until it ends, and for
    ``former``, whose name it was, some time after a change.

    One table for all holders, so that the primary key alone decides who comes first.
    """

    key = models.CharField(primary_key=True, max_length=usernames.KEY_LENGTH)
    held_until = models.DateTimeField(null=True, db_index=True)
    # If the person goes, the name stays held: nobody else signs as them at once.
    former = models.ForeignKey(User, null=True, on_delete=models.DB_SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.key


class NameSkeleton(models.Model):
    """How held names look (``usernames.skeletons``): nobody gets a name that looks the same.

    ``name`` is the one that looks so; null while several do, which were given before this table
    was. The database deletes the row with its name, since the version before doesn't know it.
    """

    skeleton = models.CharField(primary_key=True, max_length=usernames.SKELETON_LENGTH)
    name = models.ForeignKey(Username, null=True, on_delete=models.DB_CASCADE, related_name="+")

    def __str__(self) -> str:
        return self.skeleton


class Address(models.Model):
    """A confirmed address. An unconfirmed one holds nothing, so that nobody can squat."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="addresses")
    address = models.EmailField(max_length=emails.MAX_LENGTH)
    key = models.CharField(max_length=3 * emails.MAX_LENGTH, unique=True)
    confirmed_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.address


class FormerCredential(models.Model):
    """A credential that was replaced, removed or suspended: see
    ``accounts.users.former_credentials``.

    The account held it from ``since`` (null if unknown) to ``removed_at``. ``data`` is the
    serialized row, or the hash of a password; ``key`` is the key of an address.
    """

    KEY_LENGTH: ClassVar[int] = 3 * emails.MAX_LENGTH

    class Kind(models.TextChoices):
        """What kind of credential it was."""

        PASSWORD = "password"  # noqa: S105 the name of a kind
        EMAIL = "email"
        FACTOR = "factor"
        RECOVERY_CODES = "recovery_codes"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="former_credentials")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    key = models.CharField(max_length=KEY_LENGTH, blank=True, db_index=True)
    label = models.CharField(max_length=emails.MAX_LENGTH, blank=True)
    since = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(db_index=True)
    is_suspended = models.BooleanField(default=False)
    data = models.JSONField(encoder=DjangoJSONEncoder)

    def __str__(self) -> str:
        return self.label


class PendingSignup(models.Model):
    """A sign-up whose address is not confirmed yet. It has the id that its user will have."""

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    username = models.CharField(max_length=usernames.MAX_LENGTH)
    username_key = models.CharField(max_length=usernames.KEY_LENGTH, unique=True)
    address = models.EmailField(max_length=emails.MAX_LENGTH)
    address_key = models.CharField(max_length=3 * emails.MAX_LENGTH, db_index=True)
    password = models.CharField(max_length=128)
    next = models.CharField(max_length=2000, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.username
