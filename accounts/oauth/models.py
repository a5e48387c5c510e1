"""Apps with their secrets, and what is stored of a sign-in to an app."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy

from accounts.common import clock, secrets
from accounts.common.client_info import LONGEST_USER_AGENT, ClientInfo
from accounts.common.key_text import ID_LENGTH, KeyText
from accounts.common.leases import Leased
from accounts.common.text import refuse_invisible
from accounts.oauth import scopes
from accounts.oauth.clients import rules, uris
from accounts.sessions.models import LONGEST_SCOPE, LoginSession

LONGEST_NAME = 60
LONGEST_ID = 255
NEVER = datetime.fromtimestamp(0, UTC)
# Secret scanners find the secrets by this prefix; see ``accounts.common.key_text``.
SECRET = KeyText("authsite_client_")
REGISTRATION = KeyText("authsite_register_")

_HTTPS = URLValidator(schemes=["https"])


def _new_id() -> str:
    return secrets.hexadecimal(16)


def _text(name: Any, max_length: int, **options: Any) -> "models.CharField[str, str]":
    return models.CharField(name, max_length=max_length, blank=True, default="", **options)


def _link(name: Any) -> "models.URLField[str, str]":
    return models.URLField(name, max_length=500, blank=True, validators=[_HTTPS])


class Client(models.Model):
    """An app (in OAuth: a client) that signs people in with their account here.

    ``is_public``: whether the app has no secret, because it runs in a browser or on a person's
        device (RFC 6749 section 2.1).
    ``is_first_party``: whether people are not asked for their consent, because the app belongs to
        the operator of the site.
    ``is_device``: whether the app may sign people in on a device without a browser, or at a command
        line (RFC 8628). Such an app needs no redirect URI.
    ``is_verified``: whether the operator has checked whose app it is.
    ``scope``: the scopes that the app may request, separated by spaces.
    ``audiences``: the services for which it may request access tokens.
    ``resource``: the service of TOKEN_AUDIENCES that the app itself is, or an empty string. A
        service may introspect the access tokens that others send to it (RFC 7662).
    ``requires_dpop``: whether its tokens must be bound to a key (RFC 9449).
    ``backchannel_logout_uri``: where the app gets logout tokens (OpenID Connect Back-Channel Logout
        1.0); empty if it wants none.
    ``backchannel_logout_is_private``: whether requests to that URI may go to private IP addresses.
        Set it only for apps that an operator registers.
    ``jwks``, ``jwks_uri``: the public keys with which it authenticates, as a JWK set, or the URI at
        which it publishes them (RFC 7591 section 2). A public app or one with a secret has neither.
    ``jwks_uri_is_private``: whether requests to ``jwks_uri`` may go to private IP addresses.
    ``sector``: the host whose apps share pairwise identifiers of people (OpenID Connect Core
        section 8.1). If it is empty, the app knows people by the ids of their accounts.
    ``required_group``: the group in which people must be to sign in to the app.
    ``registered_with``: the beginning of the registration token, if the app has registered itself.
    ``expires_at``: when an app that has registered itself expires. None after somebody has signed
        in to it, and for all other apps.
    ``source``: who has described the app. Only an operator can make an app first-party, or let
        this site send requests for it to private IP addresses.
    ``logo``: the version of its logo in :class:`ClientLogo`; empty if it has none.
    ``document_read_at``, ``document_due_at``: when its metadata document was read, and when it must
        be read again; None if it has none.
    """

    class Source(models.TextChoices):
        """Who has described an app."""

        OPERATOR = "operator", gettext_lazy("An operator")
        DOCUMENT = "metadata document", gettext_lazy("Its metadata document")
        REGISTRATION = "registration", gettext_lazy("Itself, with a token")

    class Factor(models.TextChoices):
        """What people must use to sign in to an app, even if the site does not require it."""

        NONE = "", gettext_lazy("What the site requires")
        ANY = "second_factor", gettext_lazy("A second factor")
        PASSKEY = "passkey", gettext_lazy("A passkey")

    id = models.CharField(
        gettext_lazy("client ID"), primary_key=True, max_length=LONGEST_ID, default=_new_id
    )
    name = models.CharField(
        gettext_lazy("name"), max_length=LONGEST_NAME, validators=[refuse_invisible]
    )
    is_public = models.BooleanField(gettext_lazy("public"), default=False)
    is_first_party = models.BooleanField(gettext_lazy("first-party"), default=False)
    is_device = models.BooleanField(gettext_lazy("device"), default=False)
    is_verified = models.BooleanField(gettext_lazy("verified"), default=True)
    redirect_uris = models.JSONField(gettext_lazy("redirect URIs"), default=list, blank=True)
    logout_uris = models.JSONField(gettext_lazy("URIs after signing out"), default=list, blank=True)
    backchannel_logout_uri = _text(gettext_lazy("URI that is told of ended sessions"), uris.LONGEST)
    backchannel_logout_is_private = models.BooleanField(
        gettext_lazy("that URI is in a private network"), default=False
    )
    scope = models.CharField(
        gettext_lazy("scopes"), max_length=LONGEST_SCOPE, default=scopes.DEFAULT
    )
    audiences = models.JSONField(gettext_lazy("audiences"), default=list, blank=True)
    resource = _text(gettext_lazy("service that the app is"), 255)
    requires_dpop = models.BooleanField(gettext_lazy("must use DPoP"), default=False)
    jwks = models.JSONField(gettext_lazy("public keys"), null=True, blank=True)
    jwks_uri = _text(gettext_lazy("URI of its public keys"), uris.LONGEST)
    jwks_uri_is_private = models.BooleanField(
        gettext_lazy("the URI of its keys is in a private network"), default=False
    )
    sector = _text(gettext_lazy("sector of pairwise identifiers"), uris.LONGEST_HOST)
    factor = models.CharField(
        gettext_lazy("to sign in, people need"),
        max_length=16,
        choices=Factor.choices,
        blank=True,
    )
    required_group = models.ForeignKey(
        Group,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=gettext_lazy("only for people in the group"),
    )
    source = models.CharField(
        gettext_lazy("described by"),
        max_length=20,
        choices=Source.choices,
        default=Source.OPERATOR,
        editable=False,
    )
    logo = _text(gettext_lazy("logo"), 16)
    document_read_at = models.DateTimeField(null=True, editable=False)
    document_due_at = models.DateTimeField(null=True, editable=False)
    homepage = _link(gettext_lazy("home page"))
    privacy_url = _link(gettext_lazy("privacy policy"))
    terms_url = _link(gettext_lazy("terms"))
    created_at = models.DateTimeField(gettext_lazy("created"), default=clock.now, editable=False)
    disabled_at = models.DateTimeField(gettext_lazy("disabled"), null=True, editable=False)
    registered_with = _text(gettext_lazy("registered with"), 32, editable=False)
    expires_at = models.DateTimeField(gettext_lazy("expires"), null=True, editable=False)

    # The secret of an app that was just created; never stored.
    new_secret = ""
    # The content of a logo to store, or an empty value to delete the logo; None changes nothing.
    new_logo: bytes | None = None

    class Meta:
        default_permissions = ("add", "change", "view")
        verbose_name = gettext_lazy("app")
        verbose_name_plural = gettext_lazy("apps")

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name of the app on pages.

        A metadata document can claim the name of another app. Until the operator has verified the
        app, pages show the host of the document instead.
        """
        return self.name if self.is_verified else uris.document_host(self.pk) or self.name

    @property
    def host(self) -> str:
        """The host of the client ID if that is a URL, else the host of the first redirect URI.

        It is empty if the app is a program on a person's device and its client ID is not a URL.
        """
        first = next(iter(self.redirect_uris), "")
        return uris.document_host(self.pk) or uris.host_of(first)

    @property
    def has_secret(self) -> bool:
        """Whether the app authenticates by a secret."""
        return not (self.is_public or self.jwks_uri) and self.jwks is None

    @property
    def has_expired(self) -> bool:
        """Whether the app registered itself and nobody signed in to it in time."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    def clean(self) -> None:
        """Check the URIs, keys, sector, scopes, audiences, and whether it may skip consent.

        Raises:
            ValidationError: a URI, key, sector, scope or audience is not allowed; there is no
                redirect URI; the app is first-party although any program could receive what is sent
                to it (RFC 8252 section 8.6); a self-described app has rights that only an
                operator can give.
        """
        rules.check(self)


class ClientLogo(models.Model):
    """The logo of an app, a PNG file. It is not a column of the app, which is read often."""

    client = models.OneToOneField(
        Client, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    content = models.BinaryField()

    def __str__(self) -> str:
        return f"logo of {self.client_id}"


class FetchedKeys(models.Model):
    """The keys that an app publishes at its ``jwks_uri``, as they were fetched last.

    ``tried_at``: when a request last began to fetch them.
    ``fetched_at``: when that last succeeded.
    """

    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, related_name="fetched_keys", db_index=False
    )
    uri = models.CharField(max_length=uris.LONGEST)
    jwks = models.JSONField(default=dict)
    tried_at = models.DateTimeField(default=NEVER)
    fetched_at = models.DateTimeField(default=NEVER)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("client", "uri"), name="one_set_of_keys_for_each_uri"),
        )

    def __str__(self) -> str:
        return f"keys of {self.client_id}"


class ClientSecret(models.Model):
    """A secret of an app. Only its digest is stored.

    While an app changes to a new secret, the former one is valid, too.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="client_secrets")
    digest = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{SECRET.prefix}{self.pk[:4]}"


class RegistrationToken(models.Model):
    """A registration token. ``id`` is public; ``digest`` is the digest of the whole text.

    The token is valid until it is used up, it expires or its row is deleted.

    ``clients_left``: how many apps it may still register.
    ``scope``: the scopes that these apps may have, separated by spaces.
    ``audiences``: the services for which these apps get access tokens.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    digest = models.CharField(max_length=64)
    clients_left = models.PositiveSmallIntegerField(gettext_lazy("apps left"))
    scope = models.CharField(gettext_lazy("scopes"), max_length=LONGEST_SCOPE)
    audiences = models.JSONField(gettext_lazy("audiences"), default=list)
    created_at = models.DateTimeField(gettext_lazy("created"), default=clock.now)
    expires_at = models.DateTimeField(gettext_lazy("expires"))

    class Meta:
        default_permissions = ("view", "delete")
        verbose_name = gettext_lazy("registration token")
        verbose_name_plural = gettext_lazy("registration tokens")

    def __str__(self) -> str:
        return f"{REGISTRATION.prefix}{self.pk[:4]}"


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

    def __str__(self) -> str:
        return f"device of {self.client_id}"

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
    ``code_challenge``: made with the method S256 (RFC 7636 section 4.2).
    ``prompts``: the values of ``prompt``, separated by spaces.
    ``max_age``: in seconds; None if the request has none.
    ``dpop_jkt``: the thumbprint of the key that the code will be bound to (RFC 9449 section 10);
        empty if it will not be.
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
    code_challenge = models.CharField(max_length=43)
    prompts = models.CharField(max_length=64, blank=True)
    max_age = models.PositiveBigIntegerField(null=True)
    acr_values = models.CharField(max_length=255, blank=True)
    login_hint = models.CharField(max_length=254, blank=True)
    ui_locales = models.CharField(max_length=255, blank=True)
    dpop_jkt = models.CharField(max_length=43, blank=True, default="")
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
    """An authorization request that is not checked yet.

    To check it, this site must read the metadata document of the app. Before that, the person must
    sign in.

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

    A device code has no redirect URI and no challenge. It is therefore useless as an authorization
    code, and the other way round.

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

    def __str__(self) -> str:
        return f"code of {self.client_id}"

    @property
    def is_of_device(self) -> bool:
        """Whether this is a device code."""
        return not self.code_challenge


class AppSession(models.Model):
    """The session of an app: what only the OpenID Provider knows of a :class:`LoginSession`.

    It stays signed in after its ``parent``, the browser session from which the person signed in to
    the app, if it has a refresh token. Otherwise it ends with it.

    ``audience``: the service that its access tokens are for.
    """

    session = models.OneToOneField(
        LoginSession, on_delete=models.CASCADE, primary_key=True, related_name="app_session"
    )
    # No app with sessions is ever deleted.
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="app_sessions")
    parent = models.ForeignKey(
        LoginSession, on_delete=models.SET_NULL, null=True, related_name="app_sessions"
    )
    audience = models.CharField(max_length=255, blank=True)

    # The refresh token of a session that was just created; never stored.
    refresh_token = ""

    def __str__(self) -> str:
        return str(self.client)


class Connection(models.Model):
    """The scopes that a person has granted to an app; for a first-party app, those that it got.

    There is one row for each service that the app has tokens for, so that the agreement to one
    service does not give access to another.
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

    def __str__(self) -> str:
        return str(self.subject)


class LogoutNotice(Leased):
    """A notice that a session of an app has ended, which the app has not accepted yet.

    The row is written in the transaction that ends the session, and deleted when the app has
    accepted the logout token. The session and its user may be deleted meanwhile.

    ``subject``: the :attr:`LoginSession.subject` of the session.
    """

    session_id = models.UUIDField(primary_key=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    subject = models.UUIDField()

    class Meta:
        indexes = (models.Index(fields=("client", "due_at"), name="logout_notices_due"),)

    def __str__(self) -> str:
        return str(self.session_id)
