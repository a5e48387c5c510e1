"""Users, the names and addresses they hold, and the sign-ups that are not users yet."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from accounts.kernel import clock, secrets
from accounts.kernel.errors import PublicError
from accounts.kernel.signals import credentials_changed
from accounts.users import addresses, names


class UserManager(BaseUserManager["User"]):
    """What Django's own commands and backends ask for."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user of that name, in any case."""
        return self.get(username_key=names.key(username or ""))

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
    username = models.CharField(_("username"), max_length=names.MAX_LENGTH, unique=True)
    username_key = models.CharField(max_length=names.KEY_LENGTH, unique=True, editable=False)
    email = models.EmailField(_("email address"), max_length=addresses.MAX_LENGTH, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=clock.now, editable=False)
    # Counts the changes of credentials: what was proved before one is worth nothing after it.
    credential_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def clean(self) -> None:
        """Django's commands validate through the model; our rules are in ``names``."""
        self.username = names.clean(self.username)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's. A password set Django's way (``changepassword``) is told to everybody."""
        is_changed = getattr(self, "_password", None) is not None and not self._state.adding
        if is_changed and not kwargs.get("update_fields"):
            # The rest was read before the password was typed, and may have changed meanwhile.
            kwargs["update_fields"] = ["password"]
        with transaction.atomic():
            super().save(*args, **kwargs)
            if is_changed:
                credentials_changed.send(
                    User, user=self, event="password_changed", source=None, keep=None
                )


class Username(models.Model):
    """A name that is held: by a user for good, by a pending sign-up until it ends.

    One table for all holders, so that the primary key alone decides who comes first.
    """

    key = models.CharField(primary_key=True, max_length=names.KEY_LENGTH)
    held_until = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return self.key


class Address(models.Model):
    """A confirmed address. An unconfirmed one holds nothing, so that nobody can squat."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="addresses")
    address = models.EmailField(max_length=addresses.MAX_LENGTH)
    key = models.CharField(max_length=3 * addresses.MAX_LENGTH, unique=True)
    confirmed_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.address


class PendingSignup(models.Model):
    """A sign-up whose address is not confirmed yet. It has the id that its user will have."""

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    username = models.CharField(max_length=names.MAX_LENGTH)
    username_key = models.CharField(max_length=names.KEY_LENGTH, unique=True)
    address = models.EmailField(max_length=addresses.MAX_LENGTH)
    address_key = models.CharField(max_length=3 * addresses.MAX_LENGTH, db_index=True)
    password = models.CharField(max_length=128)
    next = models.CharField(max_length=2000, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.username
