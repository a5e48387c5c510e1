"""Apps, their logos, keys and secrets, and the tokens with which they register themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.common import clock, secrets
from accounts.common.secrets import CLIENT_SECRET, ID_LENGTH, REGISTRATION
from accounts.common.text import refuse_invisible
from accounts.oauth import scopes
from accounts.oauth.clients import keys, uris
from accounts.sessions.models import LONGEST_SCOPE
from accounts.tokens import keyring

LONGEST_NAME = 60
LONGEST_ID = 255
# The algorithm that an app can choose for its ID tokens instead of ``ID_TOKEN_ALGORITHM``.
ES256 = "ES256"
NEVER = datetime.fromtimestamp(0, UTC)

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
        line (RFC 8628). Such an app needs no redirect URI, nor does a service (``resource``).
    ``is_verified``: whether the operator has checked whose app it is.
    ``scope``: the scopes that the app may request, separated by spaces.
    ``audiences``: the services for which it may request access tokens.
    ``resource``: the service of TOKEN_AUDIENCES that the app itself is, or an empty string. A
        service may introspect the access tokens that others send to it (RFC 7662).
    ``requires_pkce``: whether its requests must have a code challenge (RFC 7636). If not, they need
        a ``nonce`` (RFC 9700 section 2.1.1).
    ``requires_par``: whether it must push its requests (RFC 9126).
    ``requires_dpop``: whether its tokens must be bound to a key (RFC 9449).
    ``id_token_algorithm``: the algorithm of its ID tokens, while this site uses it; otherwise, and
        if it is empty, ``ID_TOKEN_ALGORITHM``.
    ``renews_id_token``: whether a refresh gives it an ID token, too.
    ``rotates_refresh``: whether a refresh gives it a new refresh token. Only an app whose tokens
        are bound to a key may keep the same one.
    ``is_development``: whether a developer tries the app, also at ``http://localhost``. People are
        asked for their consent each time.
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
        """Who or what has described an app."""

        OPERATOR = "operator", gettext_lazy("An operator")
        DOCUMENT = "metadata document", gettext_lazy("Its metadata document")
        REGISTRATION = "registration", gettext_lazy("Itself, with a token")

    class Factor(models.TextChoices):
        """The second factor that an app requires, even if the site requires none."""

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
    requires_pkce = models.BooleanField(
        gettext_lazy("must use PKCE"), default=True, db_default=True
    )
    requires_par = models.BooleanField(
        gettext_lazy("must push its requests"), default=False, db_default=False
    )
    requires_dpop = models.BooleanField(gettext_lazy("must use DPoP"), default=False)
    id_token_algorithm = models.CharField(
        gettext_lazy("algorithm of ID tokens"),
        max_length=5,
        choices=[("", gettext_lazy("What the site uses")), (ES256, ES256)],
        blank=True,
        default="",
        db_default="",
    )
    renews_id_token = models.BooleanField(
        gettext_lazy("gets an ID token at each refresh"), default=True, db_default=True
    )
    rotates_refresh = models.BooleanField(
        gettext_lazy("gets a new refresh token at each refresh"), default=True, db_default=True
    )
    is_development = models.BooleanField(
        gettext_lazy("in development"), default=False, db_default=False
    )
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

    # The secret of an app that was just created. It is not stored.
    new_secret = ""
    # The content of a logo to store; empty to delete the logo, None to leave it unchanged.
    new_logo: bytes | None = None

    class Meta:
        default_permissions = ("add", "change", "view")
        verbose_name = gettext_lazy("app")
        verbose_name_plural = gettext_lazy("apps")

    def __str__(self) -> str:
        return self.label

    @property
    def required_factor(self) -> Factor:
        """The factor that the app requires; the strongest one if the stored value is unknown."""
        return self.Factor(self.factor) if self.factor in self.Factor else self.Factor.PASSKEY

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
    def is_forward(self) -> bool:
        """Whether an operator has registered the host of the app for forward authentication.

        Only operators can make an app first-party, so no self-described app can claim a host.
        """
        return self.is_first_party and uris.forward_callback(self.pk) in self.redirect_uris

    @property
    def has_secret(self) -> bool:
        """Whether the app authenticates by a secret."""
        return not (self.is_public or self.jwks_uri) and self.jwks is None

    @property
    def has_expired(self) -> bool:
        """Whether the app has registered itself and expired before anybody signed in to it."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    @property
    def must_use_dpop(self) -> bool:
        """Whether tokens must be bound to a key, because the app or ``STRICT`` requires it."""
        changes = any(scope.endswith("write") for scope in self.scope.split())
        return self.requires_dpop or (changes and settings.AUTHSITE.is_strict)

    def clean(self) -> None:
        """Check the URIs, keys, sector, scopes, audiences, and whether it may skip PKCE or consent.

        Raises:
            ValidationError: a URI, key, sector, scope or audience is not allowed; there is no
                redirect URI; a public app does not use PKCE; the app is first-party although any
                program could receive what is sent to it (RFC 8252 section 8.6); a self-described
                app has rights that only an operator can give.
        """
        self._check_redirect_uris()
        self._check_called_uris()
        self._check_keys()
        if self.is_public and not self.requires_pkce:
            _refuse("requires_pkce", _("Only an app with a secret or a key can do without PKCE."))
        if not (self.rotates_refresh or self.requires_dpop):
            sentence = _("Only an app that must use DPoP can keep its refresh token.")
            _refuse("rotates_refresh", sentence)
        if self.id_token_algorithm and self.id_token_algorithm not in keyring.algorithms():
            _refuse("id_token_algorithm", _("This site has no key for this algorithm."))
        self._check_source()
        self._check_sector()
        self._check_first_party()
        self._check_offered()

    @property
    def keeps_subjects(self) -> bool:
        """Return whether people's identifiers for the app stay the same if it is saved now."""
        stored = Client.objects.filter(pk=self.pk).exclude(sector=self.sector)
        return not stored.filter(connections__isnull=False).exists()

    def may_use(self, audience: str) -> bool:
        """Return whether the app can currently get access tokens for the service ``audience``."""
        given = self.audiences
        # Access tokens for other services have the id of the account, which an app with pairwise
        # identifiers must not know.
        if self.source == self.Source.DOCUMENT and not self.sector:
            given = settings.AUTHSITE.client_metadata_audiences
        return audience in given and audience in scopes.audiences()

    def _check_redirect_uris(self) -> None:
        if not (self.redirect_uris or self.is_device or self.resource):
            _refuse("redirect_uris", _("Add at least one redirect URI."))
        is_operators = self.source == self.Source.OPERATOR
        # Without its PKCE verifier, a code that is sent to ``localhost`` is useless.
        may_be_localhost = self.is_development or (self.is_public and not is_operators)
        for field in ("redirect_uris", "logout_uris"):
            with _problems_of(field):
                uris.check_all(
                    getattr(self, field),
                    is_public=self.is_public,
                    may_be_localhost=may_be_localhost,
                )

    def _check_called_uris(self) -> None:
        with _problems_of("backchannel_logout_uri"):
            is_private = self.backchannel_logout_is_private
            uris.check_called(self.backchannel_logout_uri, may_be_private=is_private)
        with _problems_of("jwks_uri"):
            uris.check_called(self.jwks_uri, may_be_private=self.jwks_uri_is_private)

    def _check_keys(self) -> None:
        """Check the keys, and remove all members except the public ones."""
        if self.is_public and (self.jwks_uri or self.jwks is not None):
            field = "jwks_uri" if self.jwks is None else "jwks"
            _refuse(field, _("A public app can’t keep a key secret, so enter no keys."))
        if self.jwks is None:
            return
        if self.jwks_uri:
            _refuse("jwks_uri", _("Enter the keys or their URI, but not both."))
        with _problems_of("jwks"):
            self.jwks = keys.checked(self.jwks)

    def _check_source(self) -> None:
        """Check that a self-described app has none of the rights that only an operator can give."""
        if self.source == self.Source.OPERATOR:
            return
        # A device gets its tokens without a redirect URI, so redirect URIs do not prove its host.
        is_its_host = self.sector == uris.sector_of(self.redirect_uris) and not self.is_device
        rights = {
            "is_first_party": self.is_first_party,
            "is_development": self.is_development,
            "backchannel_logout_is_private": self.backchannel_logout_is_private,
            "jwks_uri_is_private": self.jwks_uri_is_private,
            "sector": self.sector and not is_its_host,
        }
        for field, has_right in rights.items():
            if has_right:
                _refuse(field, _("Only an app that an operator has registered can have this."))

    def _check_sector(self) -> None:
        """Check ``sector``.

        An app with pairwise identifiers must not learn the ids of accounts. Therefore it gets no
        tokens for an API, and does not introspect the tokens of other apps.
        """
        if not self.keeps_subjects:
            sentence = _(
                "You can’t change this, because the app wouldn’t recognise its users any more."
            )
            _refuse("sector", sentence)
        if not self.sector:
            return
        if not uris.is_host(self.sector):
            _refuse("sector", _("Enter a host in lower case, without a port."))
        has_api = self.audiences or not scopes.API_SCOPES.isdisjoint(self.scope.split())
        if has_api or self.resource:
            sentence = _("An app with pairwise identifiers can’t use an API or be a service.")
            _refuse("sector", sentence)

    def _check_first_party(self) -> None:
        if self.is_first_party and self.is_development:
            sentence = _("People must be asked before they sign in to an app in development.")
            _refuse("is_first_party", sentence)
        if self.is_first_party and not all(map(uris.is_claimed, self.redirect_uris)):
            sentence = _(
                "Some redirect URIs don’t begin with https://. Any program on a device can receive "
                "what is sent to them, so people must be asked."
            )
            _refuse("is_first_party", sentence)

    def _check_offered(self) -> None:
        """Check that the scopes and services of the app exist on this site."""
        services = scopes.audiences()
        for field, wanted, offered in (
            ("scope", self.scope.split(), scopes.known()),
            ("audiences", self.audiences, services),
            # The first service is this site.
            ("resource", [self.resource] if self.resource else [], services[1:]),
        ):
            if unknown := set(wanted) - set(offered):
                _refuse(field, _("Apps can’t have the scope “%(name)s”.") % {"name": min(unknown)})


def _refuse(field: str, problem: str | ValidationError) -> None:
    raise ValidationError({field: problem})


@contextmanager
def _problems_of(field: str) -> Iterator[None]:
    """Return a context manager that attributes a ``ValidationError`` to ``field``."""
    try:
        yield
    except ValidationError as error:
        _refuse(field, error)


class ClientLogo(models.Model):
    """The logo of an app, a PNG file. It has its own table, because the app is read often."""

    client = models.OneToOneField(
        Client, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    content = models.BinaryField()


class FetchedKeys(models.Model):
    """The keys that an app publishes at its ``jwks_uri``, as last fetched.

    ``tried_at``: when a request last began to fetch them.
    ``fetched_at``: when they were last fetched successfully.
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


class ClientSecret(models.Model):
    """A secret of an app. Only its digest is stored.

    While the app changes to a new secret, its former one is valid, too.

    ``made_by``: the id of the member of staff who created and saw the secret; null if none did.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="client_secrets")
    digest = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=clock.now)
    made_by = models.UUIDField(null=True)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{CLIENT_SECRET.prefix}{self.pk[:4]}"


class RegistrationToken(models.Model):
    """A registration token. ``id`` is public; ``digest`` is the digest of the whole text.

    The token is valid until it is used up, it expires or its row is deleted.

    ``clients_left``: how many more apps it may register.
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
