"""Where people are signed in."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

from accounts.common import clock, proofs, secrets
from accounts.common.client_info import LONGEST_NAME, LONGEST_USER_AGENT, Device

STALE = timedelta(days=7)


class LoginSession(models.Model):
    """One place where a person is signed in. ``id`` is public: the ``sid`` of tokens.

    For a client of the API it's also the family of its refresh tokens: see ``tokens.families``.
    ``auth_time`` is the last moment at which the person proved who it is (OpenID Connect Core,
    section 2), ``amr`` by what. It's over when ``ended_at`` is set or ``idle_at`` or ``ends_at``
    have passed.
    """

    class Kind(models.TextChoices):
        """What is signed in there."""

        BROWSER = "browser"
        API = "api"
        # A page of somebody's that calls the API from a browser: its refresh token is in a cookie.
        APP = "app"

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="login_sessions"
    )
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.BROWSER)
    agent = models.CharField(max_length=LONGEST_USER_AGENT, blank=True)
    browser = models.CharField(max_length=LONGEST_NAME, blank=True)
    system = models.CharField(max_length=LONGEST_NAME, blank=True)
    ip = models.CharField(max_length=45, blank=True, db_column="address")
    amr = models.JSONField(default=list)
    auth_time = models.DateTimeField()
    # The last moment at which a second factor was shown, and at which a passkey was.
    factor_at = models.DateTimeField(null=True)
    passkey_at = models.DateTimeField(null=True)
    # The ``persistent_id`` of the second factor that was shown last.
    factor_key = models.CharField(max_length=64, blank=True, default="", db_default="")
    begun_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(default=clock.now)
    # Whether it outlives the browser, and is not ended by resting.
    is_remembered = models.BooleanField(default=False)
    idle_at = models.DateTimeField(db_index=True)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # Since when another browser than the one that signed in has used it, until it proves itself.
    challenged_at = models.DateTimeField(null=True)
    # Of a family: what its tokens may be used for, digests of the refresh token that is good and
    # of the one before it, and since when.
    scope = models.CharField(max_length=255, blank=True, default="", db_default="")
    refresh_digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    former_digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    rotated_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("user", "-used_at"), name="sessions_of_a_person"),)

    def __str__(self) -> str:
        return str(self.device)

    @property
    def device(self) -> Device:
        """The device that signed in."""
        return Device(self.browser, self.system)

    @property
    def proof_words(self) -> str:
        """By what."""
        return proofs.in_words(self.amr)

    @property
    def acr(self) -> proofs.Assurance:
        """How much was shown."""
        return proofs.assurance(self.amr)

    @property
    def is_client(self) -> bool:
        """Whether it's a program that uses the API, and no browser."""
        return self.kind != self.Kind.BROWSER

    @property
    def is_stale(self) -> bool:
        """Whether it hasn't been used for a week."""
        return self.used_at < clock.now() - STALE


class BrowserSession(AbstractBaseSession):
    """Django's session data of a browser, stored under a digest of the session key.

    ``login_session`` is the session in which a person is signed in there; None for a stranger.
    """

    login_session = models.ForeignKey(
        LoginSession,
        null=True,
        on_delete=models.CASCADE,
        related_name="browsers",
        db_column="login_id",
    )

    class Meta(AbstractBaseSession.Meta):
        abstract = False


class KnownBrowser(models.Model):
    """A browser in which a person has signed in; ``digest`` is of its cookie and its device.

    ``since`` is the moment of the first sign-in there, ``version`` the ``credential_version`` of
    the last one, ``until`` when the browser is forgotten, ``factor_at`` the first moment at which a
    second factor was shown there.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_browsers"
    )
    digest = models.CharField(max_length=64)
    since = models.DateTimeField(default=clock.now)
    version = models.PositiveIntegerField()
    until = models.DateTimeField(db_index=True)
    factor_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "digest"), name="a_browser_is_known_once"),
        )

    def __str__(self) -> str:
        return self.digest
