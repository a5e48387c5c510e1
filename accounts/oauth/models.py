"""The models of sign-ins to apps: requests, codes, sessions, connections and logout notices."""

from django.conf import settings
from django.db import models

from accounts.common import clock, secrets
from accounts.common.client_info import LONGEST_USER_AGENT, ClientInfo
from accounts.common.leases import Leased
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.sessions.models import LONGEST_SCOPE, LoginSession


class DeviceAuthorization(models.Model):
    """The authorization request of a device (RFC 8628 section 3.1), and the answer of the person.

    ``digest``: the digest of the device code, with which the device polls.
    ``user_code``: the keyed digest of the code that the person types.
    ``agent``, ``ip``: the User-Agent and the IP address of the device.
    ``interval``: how many seconds the device must wait between two polls.
    ``next_poll_at``: when it may poll again.
    ``is_allowed``: whether the person has allowed the request; None before the answer.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    user_code = models.CharField(max_length=64, db_index=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=LONGEST_SCOPE)
    audience = models.CharField(max_length=255)
    agent = models.CharField(max_length=LONGEST_USER_AGENT, blank=True)
    ip = models.CharField(max_length=45, blank=True)
    interval = models.PositiveSmallIntegerField(default=5)
    next_poll_at = models.DateTimeField(default=clock.now)
    is_allowed = models.BooleanField(null=True)
    made_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(db_index=True)

    @property
    def info(self) -> ClientInfo:
        """The client info of the device."""
        return ClientInfo(self.ip, self.agent)


class AuthorizationRequest(models.Model):
    """An authorization request (RFC 6749 section 4.1.1) that was found valid.

    It is stored until the app gets its answer, so that it survives the sign-in, the second step and
    the detour to a provider, and nobody can change it meanwhile.

    ``id``: also the end of the ``request_uri`` of a pushed request (RFC 9126).
    ``browser``: the digest of a cookie of the browser that opened the request; empty until then.
    ``audience``: the service that the access tokens are for (RFC 8707).
    ``response_mode``: how the app gets its answer; empty for ``query``.
    ``code_challenge``: made with the method S256 (RFC 7636 section 4.2); empty if the app needs
        none.
    ``prompts``: the values of ``prompt``, separated by spaces.
    ``max_age``: in seconds; None if the request has none.
    ``requires_acr``: whether the person must reach one of ``acr_values``. Otherwise they are a
        wish.
    ``dpop_jkt``: the thumbprint of the key that the code will be bound to (RFC 9449 section 10);
        empty if it will not be.
    ``is_of_network``: whether the request was counted for a network, and not for a session, a known
        browser or an app.
    ``device``: the device that asks, or None. Such a request has no redirect URI and no challenge.
    ``subject``: the ``sub`` of the person whom ``id_token_hint`` names, or None.
    ``chosen``: the id of the session whose account the person has chosen, if ``prompt`` has
        ``select_account``; None until then.
    """

    id = models.CharField(primary_key=True, max_length=43, default=secrets.token)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=64, blank=True, default="")
    redirect_uri = models.TextField()
    scope = models.CharField(max_length=LONGEST_SCOPE)
    audience = models.CharField(max_length=255)
    state = models.TextField(blank=True)
    nonce = models.TextField(blank=True)
    response_mode = models.CharField(max_length=9, blank=True, default="", db_default="")
    code_challenge = models.CharField(max_length=43)
    prompts = models.CharField(max_length=64, blank=True)
    max_age = models.PositiveBigIntegerField(null=True)
    acr_values = models.CharField(max_length=255, blank=True)
    requires_acr = models.BooleanField(default=False, db_default=False)
    login_hint = models.CharField(max_length=254, blank=True)
    ui_locales = models.CharField(max_length=255, blank=True)
    dpop_jkt = models.CharField(max_length=43, blank=True, default="")
    is_of_network = models.BooleanField(default=True, db_default=True)
    device = models.ForeignKey(
        DeviceAuthorization, on_delete=models.CASCADE, null=True, related_name="+"
    )
    subject = models.UUIDField(null=True)
    chosen = models.UUIDField(null=True)
    made_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"request of {self.client_id}"


class UnreadRequest(models.Model):
    """An authorization request that was not checked yet.

    To check it, this site must read the metadata document of the app, and it does so only for a
    signed-in user.

    ``browser``: as in :class:`AuthorizationRequest`.
    ``query``: the parameters, form-encoded.
    """

    id = models.CharField(primary_key=True, max_length=43, default=secrets.token)
    browser = models.CharField(max_length=64)
    query = models.TextField()
    made_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return "request of an unread app"


class AuthorizationCode(models.Model):
    """An authorization code, or a device code that a person has allowed. Only its digest is stored.

    A device code has no redirect URI. Therefore it is useless as an authorization code, and an
    authorization code is useless as a device code.

    ``code_challenge``: empty if the request had none.
    ``version``: the ``credential_version`` of the user when the code was issued.
    ``session``: the browser session in which the user agreed.
    ``given``: the session that the app got for the code, or None.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="authorization_codes"
    )
    version = models.PositiveIntegerField()
    session = models.ForeignKey(LoginSession, on_delete=models.CASCADE, related_name="+")
    given = models.ForeignKey(LoginSession, on_delete=models.SET_NULL, null=True, related_name="+")
    redirect_uri = models.TextField()
    code_challenge = models.CharField(max_length=43)
    dpop_jkt = models.CharField(max_length=43, blank=True, default="")
    nonce = models.TextField(blank=True)
    scope = models.CharField(max_length=LONGEST_SCOPE)
    audience = models.CharField(max_length=255)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    @property
    def is_of_device(self) -> bool:
        """Whether this is a device code."""
        return not self.redirect_uri


class AppSession(models.Model):
    """The session of an app: the columns that only the OpenID Provider uses.

    The session's ``parent`` is the browser session from which the user signed in to the app. With a
    refresh token, the session outlives its parent. Otherwise both end together.

    ``audience``: the service for which its access tokens are issued.
    """

    session = models.OneToOneField(
        LoginSession, on_delete=models.CASCADE, primary_key=True, related_name="app_session"
    )
    # An app that has sessions is never deleted.
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="app_sessions")
    parent = models.ForeignKey(
        LoginSession, on_delete=models.SET_NULL, null=True, related_name="app_sessions"
    )
    audience = models.CharField(max_length=255, blank=True)

    # The refresh token of a session that was just created. It is not stored.
    refresh_token = ""

    def __str__(self) -> str:
        return str(self.client)


class Connection(models.Model):
    """The scopes that a user has granted to an app, or that a first-party app has received.

    There is one row for each service for which the app has tokens, so that consent for one service
    does not give access to another.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connections"
    )
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="connections")
    audience = models.CharField(max_length=255)
    scope = models.CharField(max_length=LONGEST_SCOPE)
    since = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "client", "audience"), name="one_connection_for_each_service"
            ),
        )

    def __str__(self) -> str:
        return str(self.client)


class PairwiseSubject(models.Model):
    """The identifier by which the apps of a sector know a person (OpenID Connect Core section 8.1).

    ``subject`` is random. Without this row, nobody can relate it to the person or to the person's
    other identifiers.
    """

    subject = models.UUIDField(primary_key=True, default=secrets.public_id)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="pairwise_subjects",
        db_index=False,
    )
    sector = models.CharField(max_length=uris.LONGEST_HOST)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "sector"), name="one_subject_for_each_sector"),
        )


class LogoutNotice(Leased):
    """A notice that a session of an app has ended, which the app has not accepted yet.

    The row is inserted in the transaction that ends the session, and deleted when the app has
    accepted the logout token. The session and its user may be deleted meanwhile.

    ``subject``: the :attr:`LoginSession.subject` of the session.
    """

    session_id = models.UUIDField(primary_key=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    subject = models.UUIDField()

    class Meta:
        indexes = (models.Index(fields=("client", "due_at"), name="logout_notices_due"),)
