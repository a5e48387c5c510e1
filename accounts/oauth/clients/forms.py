"""The kinds of apps, and the form of an app in the admin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, override
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.widgets import AdminFileWidget
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.forms.fields import InvalidJSONInput
from django.forms.models import model_to_dict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.common import secrets
from accounts.oauth.clients import documents, services, uris
from accounts.oauth.clients import keys as client_keys
from accounts.oauth.clients.models import Client
from accounts.oauth.scopes import audiences, known
from accounts.signin.adminsite import SecretForm


@dataclass(frozen=True)
class Kind:
    """A kind of app.

    ``label``, ``words``: its name, and a sentence that distinguishes it from the others.
    ``initial``: the fields that the form sets.
    ``command``: the command that a developer runs first, in the shell with the settings of the app.
    ``is_service``: whether the app signs nobody in, but introspects tokens.
    ``is_script``: whether its settings are JavaScript, because it runs in a browser.
    ``is_forward``: whether proxies ask about each request to it (``oauth.forward``).
    """

    label: str | Promise
    words: str | Promise
    initial: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    is_service: bool = False
    is_script: bool = False
    is_forward: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the form shows before the advanced ones."""
        usual = ("name", "logo", "redirect_uris")
        if self.is_forward:
            return (*usual, "required_group", "factor")
        return ("name", "resource") if self.is_service else usual


KINDS = {
    "web": Kind(gettext_lazy("Web app with a server"), gettext_lazy("Its server keeps a secret.")),
    "spa": Kind(
        gettext_lazy("Single-page app"),
        gettext_lazy("The app runs in the browser, so it can’t keep a secret."),
        {"is_public": True},
        is_script=True,
    ),
    "native": Kind(
        gettext_lazy("Mobile or desktop app"),
        gettext_lazy("The app runs on people’s devices, so it can’t keep a secret."),
        {"is_public": True},
    ),
    "device": Kind(
        gettext_lazy("Device or command line"),
        gettext_lazy("The device shows a code, and people enter the code on this site."),
        {"is_public": True, "is_device": True},
        command='curl -d client_id=$CLIENT_ID -d "scope=openid" $ISSUER/oauth/device_authorization',
    ),
    "forward": Kind(
        gettext_lazy("App behind a proxy that asks this site"),
        gettext_lazy(
            "The app has no sign-in of its own. Its proxy asks this site at each request."
        ),
        {
            "is_public": True,
            "is_first_party": True,
            "redirect_uris": [uris.forward_callback("HOST")],
        },
        is_forward=True,
    ),
    "service": Kind(
        gettext_lazy("Service that checks tokens"),
        gettext_lazy(
            "The service gets access tokens from apps, and asks this site whether they are valid."
        ),
        command='curl -u "$CLIENT_ID:$CLIENT_SECRET" -d token=$TOKEN $ISSUER/oauth/introspect',
        is_service=True,
    ),
    "mcp": Kind(
        gettext_lazy("MCP server"),
        gettext_lazy("AI assistants call the tools of the server for people, with access tokens."),
        command="uvicorn mcp_server:app --port 9000",
        is_service=True,
    ),
}


def snippet(client: Client, secret: str = "", kind: Kind | None = None) -> str:
    """Return the settings of ``client`` in the form that ``docs/sign-in-with.md`` describes."""
    origin = settings.AUTHSITE.origin
    if kind and kind.is_script:
        given = {
            "authority": origin,
            "client_id": client.pk,
            "redirect_uri": next(iter(client.redirect_uris), ""),
            "scope": client.scope,
        }
        lines = "".join(f"  {name}: {json.dumps(value)},\n" for name, value in given.items())
        return f"new oidc.UserManager({{\n{lines}}});"
    given = {
        "ISSUER": origin,
        "CLIENT_ID": client.pk,
        "CLIENT_SECRET": secret,
        "RESOURCE": client.resource,
    }
    lines = "".join(f"{name}={value}\n" for name, value in given.items() if value)
    return lines + (kind.command if kind else "")


def trial(client: Client) -> str:
    """Return a URL for a trial sign-in to ``client``, or an empty string if there is none.

    The app did not begin this sign-in, so it must refuse the answer. Nobody knows the PKCE verifier
    of the code.
    """
    if client.is_forward:
        return f"https://{client.pk}/"
    if not client.redirect_uris:
        return reverse("device") if client.is_device else ""
    asked = {
        "client_id": client.pk,
        "redirect_uri": client.redirect_uris[0],
        "response_type": "code",
        "scope": client.scope.split()[0],
        "state": "try",
        "nonce": secrets.token(),
        "code_challenge": secrets.token(),
        "code_challenge_method": "S256",
    }
    return "" if client.requires_par else f"{reverse('authorize')}?{urlencode(asked)}"


FIELDSETS: Any = (
    (
        gettext_lazy("Kind of app"),
        {
            "fields": ("name", "redirect_uris", "is_public", "is_device", "is_development"),
            "description": gettext_lazy("Where the app runs, and whether it’s in development"),
        },
    ),
    (
        gettext_lazy("What people see"),
        {
            "fields": ("logo", "homepage", "privacy_url", "terms_url"),
            "description": gettext_lazy("Home page, privacy policy and terms of the app"),
        },
    ),
    (
        gettext_lazy("Trust and access"),
        {
            "fields": ("is_verified", "is_first_party", "required_group", "factor"),
            "description": gettext_lazy("Who runs the app, and who can sign in to it"),
        },
    ),
    (
        gettext_lazy("What the app gets"),
        {
            "fields": ("scope", "audiences", "resource", "sector"),
            "description": gettext_lazy("Scopes, services and IDs"),
        },
    ),
    (
        gettext_lazy("Requests and keys of the app"),
        {
            "fields": (
                *("requires_pkce", "requires_par"),
                *("jwks", "jwks_uri", "jwks_uri_is_private"),
                *("requires_dpop", "rotates_refresh", "renews_id_token", "id_token_algorithm"),
            ),
            "description": gettext_lazy("How the app protects its requests and its tokens"),
        },
    ),
    (
        gettext_lazy("Signing out"),
        {
            "fields": ("logout_uris", "backchannel_logout_uri", "backchannel_logout_is_private"),
            "description": gettext_lazy("What happens after people sign out"),
        },
    ),
)


class LinesField(forms.CharField):
    """A field for a list of texts, one per line."""

    attrs = {"rows": 2, "spellcheck": "false", "autocapitalize": "off", "dir": "ltr"}
    widget = forms.Textarea(attrs)

    @override
    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    @override
    def to_python(self, value: Any) -> Any:
        """Return the lines without duplicates, surrounding spaces and empty lines."""
        if isinstance(value, list):
            return value
        lines = (line.strip() for line in (value or "").splitlines())
        return list(dict.fromkeys(line for line in lines if line))


class KeysField(forms.JSONField):
    """A field for a JSON Web Key Set. It refuses JSON with which Django's own field would crash."""

    @override
    def to_python(self, value: Any) -> Any:
        try:
            keys = super().to_python(value)
        except (ValueError, RecursionError):
            raise ValidationError(self.error_messages["invalid"], params={"value": ""}) from None
        return keys if keys is None else client_keys.checked(keys)

    @override
    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the text as it was typed, even if it is valid JSON."""
        return initial if self.disabled or data is None else InvalidJSONInput(data)

    @override
    def prepare_value(self, value: Any) -> Any:
        """Return the text of ``value``; an empty text instead of "null" if there are no keys."""
        return "" if value is None else super().prepare_value(value)


class ClientForm(SecretForm):
    """The form to register or change an app."""

    redirect_uris = LinesField(
        label=gettext_lazy("Redirect URIs"),
        required=False,
        help_text=gettext_lazy("URIs to which this site may send people back, one per line."),
    )
    logout_uris = LinesField(
        label=gettext_lazy("URIs after signing out"),
        required=False,
        help_text=gettext_lazy(
            "URIs to which this site may send people after they sign out, one per line."
        ),
    )
    scope = forms.MultipleChoiceField(
        label=gettext_lazy("The app may request"),
        widget=forms.CheckboxSelectMultiple,
        choices=lambda: [(name, f"{words} ({name})") for name, words in known().items()],
    )
    audiences = forms.MultipleChoiceField(
        label=gettext_lazy("The app gets access tokens for"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        choices=lambda: [(name, _name_of(name)) for name in audiences()],
    )
    resource = forms.ChoiceField(
        label=gettext_lazy("The app is the service"),
        required=False,
        choices=lambda: [
            ("", gettext_lazy("No service")),
            *((name, name) for name in audiences()[1:]),
        ],
        help_text=gettext_lazy("The service may ask this site whether access tokens are valid."),
    )
    logo = forms.FileField(
        label=gettext_lazy("Logo"),
        widget=AdminFileWidget(attrs={"aria-label": gettext_lazy("Logo")}),
        required=False,
        help_text=gettext_lazy("A square PNG file, which people see when they sign in to the app."),
    )
    # Declared here, because the admin would add links that open windows by jQuery.
    required_group: "forms.ModelChoiceField[Group]" = forms.ModelChoiceField(
        Group.objects.order_by("name"),
        label=gettext_lazy("Only for people in the group"),
        required=False,
        empty_label=gettext_lazy("Everybody"),
    )
    # The kind of the app.
    kind = KINDS["web"]

    class Meta:
        model = Client
        fields = flatten_fieldsets(FIELDSETS)
        field_classes = {"jwks": KeysField}
        widgets = {"jwks": forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})}
        labels = {"backchannel_logout_uri": gettext_lazy("Back-channel logout URI")}
        help_texts = {
            "backchannel_logout_uri": gettext_lazy(
                "When a session of the app ends, this site sends a logout token to this URI. Leave"
                " the field empty if the app doesn’t support OpenID Connect Back-Channel Logout."
            ),
            "backchannel_logout_is_private": gettext_lazy(
                "Switch this on to allow logout tokens to private IP addresses."
            ),
            "is_public": gettext_lazy(
                "The app runs in a browser or on a person’s device and can’t keep a secret, "
                "so it gets none. You can’t change this later."
            ),
            "sector": gettext_lazy(
                "Leave it empty to give the app the IDs of accounts. If you enter a host, usually "
                "the host of the redirect URIs, the app gets other IDs, the same as all apps with "
                "that host, and can’t use an API. You can’t change this once people use the app."
            ),
            "is_device": gettext_lazy(
                "The app may show a code, which people enter here. The app needs no redirect URI."
            ),
            "is_development": gettext_lazy(
                "The redirect URIs may begin with http://localhost or http://127.0.0.1. People "
                "must consent at each sign-in, and read that the app is in development."
            ),
            "is_verified": gettext_lazy("You have checked who runs the app."),
            "is_first_party": gettext_lazy(
                "The app belongs to the operator of this site, so people aren’t asked for consent."
            ),
            "requires_pkce": gettext_lazy(
                "Switch this off only if the app doesn’t support PKCE. Its requests then need a "
                "nonce."
            ),
            "requires_par": gettext_lazy(
                "The server of the app must send each authorization request directly to this site "
                "before it sends the person to this site (RFC 9126)."
            ),
            "requires_dpop": gettext_lazy(
                "With each request, the app proves that it holds a key (RFC 9449). A stolen token "
                "is useless without the key."
            ),
            "rotates_refresh": gettext_lazy(
                "Switch this off only for an app that uses DPoP and keeps its refresh token."
            ),
            "renews_id_token": gettext_lazy(
                "Switch this off for an app that refreshes often and doesn’t read the ID token: "
                "the site then answers faster."
            ),
            "jwks": gettext_lazy(
                "Enter a JSON Web Key Set if the app signs with its own key (private_key_jwt) "
                "instead of sending a secret."
            ),
            "jwks_uri": gettext_lazy("If the app publishes its keys, enter their URI instead."),
            "jwks_uri_is_private": gettext_lazy(
                "Switch this on to allow keys from private IP addresses."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A scope that was removed from AUDIENCE_SCOPES would cause an error in a disabled field.
        defined = known()
        self.initial["scope"] = [name for name in self.instance.scope.split() if name in defined]
        if self.kind.is_service:
            self.fields["resource"].required = True
        if self.instance._state.adding:
            self.initial["is_verified"] = False
        self._read = _version(self.instance)
        self.initial["logo"] = _CurrentLogo(self.instance) if self.instance.logo else None
        if self.instance.source == Client.Source.DOCUMENT:
            # The document decides the other fields, and would overwrite any change of them.
            for name in self.fields.keys() - documents.KEPT - {"reason"}:
                self.fields[name].disabled = True
        # An app cannot change between public and confidential, because only a confidential app has
        # a secret. Staff who may only view the app get a form without fields.
        if "is_public" in self.fields and not self.instance._state.adding:
            self.fields["is_public"].disabled = True

    @property
    def seen(self) -> str:
        """The version of the app that the page has shown."""
        return str(self.data.get("seen") or self._read)

    def clean_scope(self) -> str:
        """Return the chosen scopes separated by spaces, as OAuth writes them."""
        return " ".join(self.cleaned_data["scope"])

    def clean_logo(self) -> str:
        """Return the version of the logo.

        Raises:
            ValidationError: see :func:`services.version_of`.
        """
        sent = self.cleaned_data["logo"]
        if isinstance(sent, UploadedFile):
            self.instance.new_logo = sent.read(services.LARGEST + 1)
            return services.version_of(self.instance.new_logo)
        # The widget sends False if the box "Clear" is checked.
        if sent is False:
            self.instance.new_logo = b""
            return ""
        return self.instance.logo

    def clean(self) -> dict[str, Any]:
        """Refuse the change if the app has changed since the page showed it.

        Otherwise, an old page could restore a redirect URI that was just removed.
        """
        if self.kind.is_forward and self.instance._state.adding:
            self._take_host(self.cleaned_data.get("redirect_uris", []))
        rows = Client.objects.select_for_update(no_key=True)
        current = rows.filter(pk=self.instance.pk).first()
        if current and _version(current) != self.seen:
            raise forms.ValidationError(
                _("Somebody else has changed this app meanwhile. Open the page again.")
            )
        return self.cleaned_data

    def _take_host(self, redirect_uris: list[str]) -> None:
        """Set the client ID to the host of the only redirect URI.

        Raises:
            ValidationError: there is another redirect URI, or the host is already the client ID
                of an app.
        """
        host = uris.host_of(next(iter(redirect_uris), ""))
        if not uris.is_host(host) or redirect_uris != [uris.forward_callback(host)]:
            sentence = _("Enter only the URI %(uri)s, with the host of your app in place of HOST.")
            raise ValidationError(sentence % {"uri": uris.forward_callback("HOST")})
        if Client.objects.filter(pk=host).exists():
            raise ValidationError(_("An app with this host already exists. Enter another host."))
        self.instance.pk = host


class _CurrentLogo:
    """The stored logo, in the form that the file widget shows."""

    def __init__(self, client: Client) -> None:
        self.url = reverse("app_logo", args=(client.pk, client.logo))

    def __str__(self) -> str:
        return _("the logo")


def _name_of(audience: str) -> str:
    is_here = audience == settings.AUTHSITE.origin
    return _("The API of this site (%(url)s)") % {"url": audience} if is_here else audience


def _version(client: Client) -> str:
    """Return a text that is different for different values of the fields."""
    values = model_to_dict(client, ClientForm.Meta.fields)
    return secrets.digest(str(sorted(values.items())), "app")
