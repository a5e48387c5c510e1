"""Sessions, the session data of browsers, and the browsers that are known to an account."""

import uuid
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.translation import gettext as _

from accounts.common import clock, proofs, secrets
from accounts.common.client_info import LONGEST_NAME, LONGEST_USER_AGENT, Device
from accounts.common.database import P
from accounts.sessions import connected

STALE = timedelta(days=30)
# Enough for all scopes of this site and of AUDIENCE_SCOPES.
LONGEST_SCOPE = 1000


def is_live(now: datetime | P) -> models.Q:
    """Return the condition that a session has neither ended nor expired at ``now``.

    :attr:`LoginSession.is_live` is the same for a session in memory. No other code may define this.
    """
    return models.Q(ended_at=None, idle_at__gt=now, ends_at__gt=now)


# The UUID version of a ``sid`` after the sign-out (RFC 9562 section 5.8).
SIGNED_OUT = 8


def other_sid(sid: uuid.UUID) -> uuid.UUID:
    """Return the ``sid`` after the sign-out for the ``sid`` before it, and vice versa.

    The two differ only in the version of the UUID. A second column would need another index for the
    lookup of access tokens, and a statement for each session at a sign-out.
    """
    return uuid.UUID(int=sid.int ^ (4 ^ SIGNED_OUT) << 76)


class LoginSession(models.Model):
    """A session: a browser or API client in which a user is signed in.

    All refresh tokens of an API client belong to one session (see ``tokens.families``).

    ``id``: public, because tokens contain it as ``sid``, until ``signed_out_at``.
    ``auth_time``: the time at which the user last authenticated (OpenID Connect Core, section 2).
    ``amr``: the methods with which the user authenticated.
    """

    class Kind(models.TextChoices):
        """The kind of client that is signed in."""

        BROWSER = "browser"
        API = "api"
        # A browser app that calls the API and stores its refresh token in a cookie.
        APP = "app"
        # A session of a connected app (``accounts.oauth``).
        CONNECTED = "connected"

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    # No index on ``user`` alone, because ``sessions_of_a_person`` begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="login_sessions",
        db_index=False,
    )
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.BROWSER)
    agent = models.CharField(max_length=LONGEST_USER_AGENT, blank=True)
    browser = models.CharField(max_length=LONGEST_NAME, blank=True)
    system = models.CharField(max_length=LONGEST_NAME, blank=True)
    ip = models.CharField(max_length=45, blank=True)
    amr = models.JSONField(default=list)
    auth_time = models.DateTimeField()
    # When the user last showed any second factor (``factor_at``), and a passkey (``passkey_at``).
    factor_at = models.DateTimeField(null=True)
    passkey_at = models.DateTimeField(null=True)
    # When the user last showed a second factor that counts for acts of staff and for apps
    # (``signin.policy.stepped_up_at``); None after a factor was added or shown that does not count.
    stepped_up_at = models.DateTimeField(null=True)
    # The ``persistent_id`` of the second factor that was last shown.
    factor_key = models.CharField(max_length=64, blank=True, default="")
    begun_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(default=clock.now)
    # Whether the session survives closing the browser and does not expire through inactivity.
    is_remembered = models.BooleanField(default=False)
    idle_at = models.DateTimeField(db_index=True)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # The name of the event that ended the session, and the digest of the last session key of its
    # browser, which is told why it was signed out.
    ended_by = models.CharField(max_length=32, blank=True, default="")
    ended_key = models.CharField(max_length=40, blank=True, default="")
    # When another browser used the session, so that reauthentication became necessary; else None.
    challenged_at = models.DateTimeField(null=True)
    # Only for API clients: the scope of the tokens, digests of the current and the previous refresh
    # token, and the time of the last rotation. A session that a page of this site has begun has no
    # refresh token, and its ``former_digest`` is the id of the browser session with which it ends.
    scope = models.CharField(max_length=LONGEST_SCOPE, blank=True, default="")
    refresh_digest = models.CharField(max_length=64, blank=True, default="")
    former_digest = models.CharField(max_length=64, blank=True, default="")
    rotated_at = models.DateTimeField(null=True)
    # Only for apps that stay connected: when the parent browser session ended. The app was notified
    # then that the session with this id as ``sid`` has ended.
    signed_out_at = models.DateTimeField(null=True)
    # The thumbprint of the key to which the tokens are bound (RFC 9449); empty if they are not
    # bound.
    dpop_thumbprint = models.CharField(max_length=43, blank=True, default="")
    # The ``sub`` of the tokens (:attr:`subject`); None if it is the id of the user.
    pairwise_subject = models.UUIDField(null=True)

    # For the page that lists sessions: the name of the provider with which the user signed in;
    # empty if unknown.
    provider: str = ""

    class Meta:
        indexes = (
            models.Index(fields=("user", "-used_at"), name="sessions_of_a_person"),
            models.Index(
                fields=("ended_key",),
                name="ended_sessions_by_key",
                condition=~models.Q(ended_key=""),
            ),
        )

    def __str__(self) -> str:
        return str(self.app or self.device)

    @cached_property
    def app(self) -> connected.App | None:
        """The connected app of the session. In lists, :func:`connected.fetch` sets it."""
        return connected.apps().of_sessions([self.pk]).get(self.pk) if self.is_app else None

    @property
    def is_app(self) -> bool:
        """Whether the session belongs to a connected app."""
        return self.kind == self.Kind.CONNECTED

    @property
    def device(self) -> Device:
        """The device that signed in."""
        return Device(self.browser, self.system)

    @property
    def sid(self) -> uuid.UUID:
        """The ``sid`` claim of its access tokens."""
        return other_sid(self.pk) if self.signed_out_at else self.pk

    @property
    def subject(self) -> uuid.UUID:
        """The ``sub`` of the user in the tokens of the session (OpenID Connect Core section 8)."""
        return self.pairwise_subject or self.user_id

    @property
    def proof_words(self) -> str:
        """The authentication methods in words, for display."""
        proof = proofs.in_words(self.amr, self.provider)
        return _("signed in with %(proof)s") % {"proof": proof}

    @property
    def acr(self) -> proofs.Assurance:
        """The assurance of the authentication: the value of the ``acr`` claim."""
        return proofs.assurance(self.amr)

    @property
    def has_new_factor(self) -> bool:
        """Whether the last second factor that was used or added is too new for ``claimed_acr``."""
        return self.factor_at is not None and self.stepped_up_at is None

    @property
    def claimed_acr(self) -> proofs.Assurance:
        """The ``acr`` claim for apps and services; a new second factor does not count for it."""
        return proofs.Assurance.ONE_STEP if self.has_new_factor else self.acr

    @property
    def is_client(self) -> bool:
        """Whether the session belongs to an API client instead of a browser."""
        return self.kind != self.Kind.BROWSER

    @property
    def expires_at(self) -> datetime:
        """When the session expires if it is not used any more."""
        return min(self.idle_at, self.ends_at)

    @property
    def is_live(self) -> bool:
        """Whether the session has neither ended nor expired."""
        return self.ended_at is None and clock.now() < self.expires_at

    @property
    def is_stale(self) -> bool:
        """Whether the session has not been used for 30 days."""
        return self.used_at < clock.now() - STALE


class BrowserSession(AbstractBaseSession):
    """The session data of a browser, stored under a digest of its session key.

    ``login_session``: the session in which a user is signed in, or None.
    """

    login_session = models.ForeignKey(
        LoginSession,
        null=True,
        on_delete=models.CASCADE,
        related_name="browsers",
    )

    class Meta(AbstractBaseSession.Meta):
        abstract = False


class KnownBrowser(models.Model):
    """A browser in which a user has signed in.

    ``digest``: a digest of the cookie and the device.
    ``since``: the time of the first sign-in.
    ``version``: the ``credential_version`` of the user as long as the browser is known; an older
        version after a lock, None after the user has removed the browser from the list.
    ``until``: the time at which the browser becomes unknown.
    ``factor_at``: the time at which a second factor was first shown in the browser, or None.
    """

    # How long a browser stays known after a sign-in.
    LIFE: ClassVar[timedelta] = timedelta(days=90)

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_browsers"
    )
    digest = models.CharField(max_length=64)
    since = models.DateTimeField(default=clock.now)
    version = models.PositiveIntegerField(null=True)
    until = models.DateTimeField(db_index=True)
    factor_at = models.DateTimeField(null=True)
    browser = models.CharField(max_length=LONGEST_NAME, blank=True, default="", db_default="")
    system = models.CharField(max_length=LONGEST_NAME, blank=True, default="", db_default="")

    # Set on the page that lists known browsers: whether it is the browser of the request.
    is_here = False

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "digest"), name="a_browser_is_known_once"),
        )
        indexes = (models.Index(fields=("digest",), name="known_browsers_by_digest"),)

    def __str__(self) -> str:
        return str(self.device)

    @property
    def device(self) -> Device:
        """The browser and its operating system."""
        return Device(self.browser, self.system)

    @property
    def used_at(self) -> datetime:
        """The time of the last recorded sign-in. At most one sign-in per hour is recorded."""
        return self.until - self.LIFE
