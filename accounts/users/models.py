"""Models of users: names, email addresses, external identities, former credentials, sign-ups."""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import (
    BasePasswordHasher,
    identify_hasher,
    is_password_usable,
    make_password,
)
from django.contrib.auth.models import Group, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, localization, secrets
from accounts.common.config import LONGEST_TERMS_VERSION
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import PublicError
from accounts.common.issuers import LONGEST_ISSUER, Issuer
from accounts.common.signals import credentials_changed, superuser_requested
from accounts.recovery.rule import Lock
from accounts.users import emails, forms, usernames

# The password column of a locked account begins with this mark, and no usable hash does.
LOCKED = "!locked "
LONGEST_HASH = 512
# Selects locked accounts. The text is a literal, because SQLite uses a partial index only if the
# query contains the exact expression of its condition.
IS_LOCKED = models.Q(
    models.Func(
        "password",
        template=f"SUBSTR(%(expressions)s, 1, {len(LOCKED)}) = '{LOCKED}'",
        output_field=models.BooleanField(),
    )
)


def locked_password(former_hash: str | None = None) -> str:
    """Return an unusable value for the password column, which marks the account as locked.

    ``former_hash``: the hash of the password that counts as a proof of ownership. It is part of the
        value, because the time for a separate query would reveal to anybody who tries to sign in
        that the account is locked.
    """
    locked = LOCKED + (former_hash or make_password(None))
    # A longer hash would not fit into the column, and no algorithm of this site produces one.
    return locked if len(locked) <= LONGEST_HASH else locked_password()


def hasher_of(encoded: str) -> BasePasswordHasher | None:
    """Return the hasher for the password hash ``encoded``, or None if no password can match.

    No password can match if the hash is unusable or damaged, if it takes too much memory or time,
    or if its algorithm is not in ``PASSWORD_HASHERS``.
    """
    try:
        hasher = identify_hasher(encoded)
        hasher.decode(encoded)
    except (ValueError, LookupError, AssertionError):
        return None
    return hasher


class UserManager(BaseUserManager["User"]):
    """Creates and finds users for Django's commands and backends."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with the username ``username``, ignoring case."""
        return self.get(username_key=usernames.key(username or ""))

    def create_superuser(self, username: str, email: str = "", password: str | None = None) -> None:
        """Create an administrator for ``createsuperuser``. The email address counts as confirmed.

        Raises:
            ValidationError: the username or email address is invalid or taken.
        """
        hashed = make_password(password)
        try:
            superuser_requested.send(User, username=username, email=email, password=hashed)
        except (PublicError, ValueError) as error:
            raise ValidationError(str(error)) from None


def _of_few(name: str, condition: models.Q) -> models.Index:
    return models.Index(fields=("username_key",), name=name, condition=condition)


_GROUPS: PreparedQuery[Any] = PreparedQuery(
    lambda: Group.objects.filter(user=P("user")).values_list("name")
)


class User(AbstractBaseUser, PermissionsMixin):
    """A person's account. ``id`` is public but not guessable, and is the ``sub`` of all tokens."""

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    # Hashes from other systems may be long: see ``accounts.passwords.foreign``.
    password = models.CharField(_("password"), max_length=LONGEST_HASH)
    username = models.CharField(_("username"), max_length=usernames.MAX_LENGTH, unique=True)
    username_key = models.CharField(max_length=usernames.KEY_LENGTH, unique=True, editable=False)
    email = models.EmailField(_("email address"), max_length=emails.MAX_LENGTH, blank=True)
    display_name = models.CharField(max_length=forms.DISPLAY_NAME_LENGTH, blank=True)
    # The values of the claims ``given_name`` and ``family_name``.
    given_name = models.CharField(
        max_length=forms.DISPLAY_NAME_LENGTH, blank=True, default="", db_default=""
    )
    family_name = models.CharField(
        max_length=forms.DISPLAY_NAME_LENGTH, blank=True, default="", db_default=""
    )
    about = models.CharField(max_length=forms.ABOUT_LENGTH, blank=True)
    # Empty if unknown. Pages then use the language of the browser, and emails the language of the
    # site.
    language = models.CharField(max_length=10, blank=True)
    time_zone = models.CharField(max_length=64, default=localization.DEFAULT)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=clock.now, editable=False)
    # Increases with each change of credentials. Proofs and links of an earlier version are invalid.
    credential_version = models.PositiveIntegerField(default=0, editable=False)
    # When the password was set; null if it was set at the sign-up.
    password_at = models.DateTimeField(null=True, editable=False)
    # Whether an emailed code is accepted as the second step after the password.
    emailed_codes = models.BooleanField(default=False, editable=False)
    # When the user last declined to add a passkey.
    passkey_declined_at = models.DateTimeField(null=True, editable=False)
    # When the account was locked, and the time at which credentials must have existed to prove
    # ownership: see ``accounts.recovery.rule``. Both are null after the owner's review.
    locked_at = models.DateTimeField(null=True, editable=False)
    horizon = models.DateTimeField(null=True, editable=False)
    # The time from which the daily job may erase the account; null if no deletion was requested.
    deletion_due = models.DateTimeField(null=True, editable=False)
    # Whether the user has a second factor, so that staff can list users who have none. If it is
    # False, a sign-in verifies it. See ``accounts.twofactor.services``.
    has_factor = models.BooleanField(default=False, editable=False)
    # When a claim about the user that apps get last changed: see ``accounts.oauth.id_tokens``.
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("people")
        # For the states by which staff filter a million users, by username; and for new accounts.
        indexes = (
            _of_few("users_unconfirmed", models.Q(email="")),
            _of_few("users_locked", IS_LOCKED),
            _of_few("users_switched_off", models.Q(is_active=False)),
            _of_few("users_to_be_deleted", models.Q(deletion_due__isnull=False)),
            _of_few("users_privileged", models.Q(is_staff=True) | models.Q(is_superuser=True)),
            _of_few("users_without_factor", models.Q(has_factor=False)),
            _of_few("users_never_seen", models.Q(last_login=None)),
            models.Index(fields=("date_joined",), name="users_by_date"),
            models.Index(fields=("updated_at",), name="users_by_change"),
        )
        # ``accounts.administration.roles`` defines which role has which permission.
        permissions = (
            ("help_user", "Can help users who are not staff"),
            ("manage_user", "Can help staff, and change the groups of others"),
        )

    @property
    def is_privileged(self) -> bool:
        """Whether the user may use the admin, as staff and superusers can."""
        return self.is_staff or self.is_superuser

    def has_usable_password(self) -> bool:
        """Return whether the hash of the password is usable and the site can verify it.

        Users without a usable password can sign in with an emailed code and set a password.
        """
        return hasher_of(self.password) is not None

    @property
    def is_locked_down(self) -> bool:
        """Whether the account is locked until its owner sets a new password."""
        return self.password.startswith(LOCKED)

    @property
    def stamp(self) -> str:
        """A text that changes whenever the credentials of the user change.

        A link or code that contains it becomes invalid by such a change.
        """
        return f"{self.pk} {self.credential_version}"

    @property
    def former_hash(self) -> str:
        """The hash of a locked account's former password, or an unusable hash if none is stored."""
        return self.password.removeprefix(LOCKED)

    @property
    def lock(self) -> Lock | None:
        """The lock of the account, or None if the account is not locked.

        An account that was locked by the command ``after_restore`` has no horizon. To unlock it,
        the user needs an emailed link, and a second factor if the account has one.
        """
        if self.is_locked_down and self.locked_at and self.horizon:
            return Lock(self.locked_at, self.horizon)
        return None

    @cached_property
    def group_names(self) -> list[str]:
        """The names of the user's groups, in alphabetical order."""
        return sorted(name for (name,) in _GROUPS.rows(user=self.pk))

    def save_email(self, email: str) -> None:
        """Save ``email``, a confirmed address of the user or "", as the primary email address."""
        self.email, self.updated_at = email, clock.now()
        self.save(update_fields=["email", "updated_at"])

    def keep_password(self, at: datetime) -> None:
        """Store the current password hash as a former credential, before the caller replaces it.

        ``at``: the time of the replacement.
        """
        if is_password_usable(self.password):
            self.former_credentials.create(
                kind=FormerCredential.Kind.PASSWORD,
                since=self.password_at,
                removed_at=at,
                data={"hash": self.password},
            )

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the user. After ``set_password``, also record that the password has changed.

        Django's command ``changepassword`` changes passwords in this way. The former hash is stored
        as a proof of ownership, and the signal ``credentials_changed`` is sent.
        """
        is_changed = getattr(self, "_password", None) is not None and not self._state.adding
        if is_changed:
            # Save only the password, because another process may have changed other fields while
            # the password was being typed.
            fields = kwargs.get("update_fields") or ["password"]
            kwargs["update_fields"] = [*fields, "password_at"]
        with transaction.atomic():
            if is_changed:
                self.password_at = clock.now()
                former = User.objects.get(pk=self.pk)
                former.keep_password(self.password_at)
            super().save(*args, **kwargs)
            if is_changed:
                credentials_changed.send(
                    User,
                    user=self,
                    event="password_changed",
                    actor=None,
                    keep=None,
                    was_locked=former.is_locked_down,
                )


class Username(models.Model):
    """A username that is taken. The primary key ensures that a name is taken only once.

    A user has a name permanently; a pending sign-up has it until the sign-up expires. After a
    rename, the former name is reserved for its former user until ``held_until``.
    """

    key = models.CharField(primary_key=True, max_length=usernames.KEY_LENGTH)
    held_until = models.DateTimeField(null=True, db_index=True)
    # If the user is deleted, the name stays reserved until ``held_until``, so that nobody can
    # immediately impersonate that user.
    former = models.ForeignKey(User, null=True, on_delete=models.DB_SET_NULL, related_name="+")


class NameSkeleton(models.Model):
    """A skeleton of a taken username. Look-alike usernames have equal skeletons (UTS 39).

    No username with a stored skeleton can be taken. ``name``: the username that has the skeleton;
    null if several usernames have it, for example after an upgrade of the Unicode tables.
    """

    skeleton = models.CharField(primary_key=True, max_length=usernames.SKELETON_LENGTH)
    name = models.ForeignKey(Username, null=True, on_delete=models.DB_CASCADE, related_name="+")


class BlockedName(models.Model):
    """A username of a deleted account, which nobody can take until ``until``.

    ``digest``: the keyed digest of a skeleton of the name. The name itself is not stored.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    until = models.DateTimeField(db_index=True)


class EmailAddress(models.Model):
    """A confirmed email address of a user.

    Unconfirmed addresses are not stored here, so that nobody can block another person's address.

    ``vouched_at``: when Support has confirmed the address without a proof of its mailbox. It is
        null otherwise, and as soon as the mailbox has answered: a code that was sent there has
        signed in, or a link has set a password. A link that locks the account does not count as an
        answer.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="emails")
    email = models.EmailField(max_length=emails.MAX_LENGTH)
    key = models.CharField(max_length=3 * emails.MAX_LENGTH, unique=True)
    confirmed_at = models.DateTimeField(default=clock.now)
    vouched_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.email


class FormerCredential(models.Model):
    """A credential that was replaced, removed or suspended.

    ``since``, ``removed_at``: the account had the credential during this time; ``since`` is null if
        unknown.
    ``data``: the serialized row of the credential, or the hash of a password.
    ``key``: the key of an email address or passkey.

    See ``accounts.users.former_credentials``.
    """

    KEY_LENGTH: ClassVar[int] = 3 * emails.MAX_LENGTH

    class Kind(models.TextChoices):
        """The kind of a former credential."""

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
    """A sign-up whose email address is not confirmed yet. Its ``id`` will be the user's id."""

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    username = models.CharField(max_length=usernames.MAX_LENGTH)
    username_key = models.CharField(max_length=usernames.KEY_LENGTH, unique=True)
    email = models.EmailField(max_length=emails.MAX_LENGTH)
    email_key = models.CharField(max_length=3 * emails.MAX_LENGTH, db_index=True)
    password = models.CharField(max_length=128)
    next = models.CharField(max_length=2000, blank=True)
    # The version of the terms that the person accepted; empty if there were none.
    terms_version = models.CharField(
        max_length=LONGEST_TERMS_VERSION, blank=True, default="", db_default=""
    )
    # The wide network of the API client that signed up; empty after a sign-up on the pages.
    wide_network = models.CharField(max_length=64, blank=True, default="")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.username


LONGEST_SUBJECT = 255
LONGEST_LABEL = 254
SHORT_SUBJECT = 24


class Identity(models.Model):
    """A user's account at an identity provider (a federated identifier of NIST SP 800-63C).

    ``issuer``, ``subject``: identify the account.
    ``label``: a name that the user recognizes.

    The provider's key in the settings is not stored, because an operator may later use the same key
    for another provider.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=LONGEST_ISSUER)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    label = models.CharField(max_length=LONGEST_LABEL, blank=True)
    connected_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(null=True)
    # Set when the account is locked. The identity cannot be used to sign in until the account owner
    # confirms it.
    suspended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("subject",), name="identities_by_subject"),)
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_person_each")
        ]

    def __str__(self) -> str:
        return f"{self.site} ({self.known_as})"

    @property
    def known_as(self) -> str:
        """A name that distinguishes the identity from others of the same provider."""
        return self.label or self.subject[:SHORT_SUBJECT]

    @property
    def configured(self) -> Issuer | None:
        """The settings of the identity's provider, or None if that provider is not configured."""
        matching = (i for i in settings.AUTHSITE.issuers if i.issuer == self.issuer)
        return next(matching, None)

    @property
    def site(self) -> str:
        """The name of the identity's provider, or the issuer if the provider is not configured."""
        return self.configured.name if self.configured else self.issuer


def find_identity(issuer: str, subject: str) -> Identity | None:
    """Return an external identity together with its user, or None if no user has the identity.

    Args:
        issuer: the issuer of the identity provider.
        subject: the id of the person's account at the provider.
    """
    rows = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject)
    return rows.first()


_OF = PreparedQuery(lambda: Identity.objects.filter(user=P("user")).order_by("pk"))


def of(user: User) -> list[Identity]:
    """Return all external identities of ``user``, oldest first."""
    return _OF.all(user=user.pk)


def usable(user: User) -> list[Identity]:
    """Return the identities with which ``user`` can sign in.

    The provider of such an identity is configured, and the identity is not suspended.
    """
    return [row for row in of(user) if row.configured and row.suspended_at is None]


def note_use(identity: Identity) -> None:
    """Record the current time as the last use of ``identity``."""
    Identity.objects.filter(pk=identity.pk).update(used_at=clock.now())
