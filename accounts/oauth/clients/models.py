"""Apps, their logos, keys and secrets, and the tokens with which they register themselves."""

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy

from accounts.common import clock, secrets
from accounts.common.key_text import ID_LENGTH, KeyText
from accounts.common.text import refuse_invisible
from accounts.oauth import scopes
from accounts.oauth.clients import rules, uris
from accounts.sessions.models import LONGEST_SCOPE

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
