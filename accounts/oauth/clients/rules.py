"""Checks the fields of an app against the rules of OAuth and of this site."""

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.oauth import scopes
from accounts.oauth.clients import keys, uris

if TYPE_CHECKING:
    from accounts.oauth.models import Client

MOST_URIS = 50


def check(client: "Client") -> None:
    """Check all fields of ``client`` except their types and lengths.

    Raises:
        ValidationError: see :meth:`Client.clean`.
    """
    if not (client.redirect_uris or client.is_device):
        raise ValidationError({"redirect_uris": _("Only a device needs no redirect URI.")})
    for field in ("redirect_uris", "logout_uris"):
        _check_uris(client, field)
    _check_called_uris(client)
    _check_keys(client)
    _check_source(client)
    _check_sector(client)
    if client.is_first_party and not all(map(uris.is_claimed, client.redirect_uris)):
        sentence = _(
            "Any program on a device can receive what is sent to the redirect URIs that don’t "
            "begin with https://, so people must be asked."
        )
        raise ValidationError({"is_first_party": sentence})
    services = scopes.audiences()
    for field, wanted, offered in (
        ("scope", client.scope.split(), scopes.known()),
        ("audiences", client.audiences, services),
        # The first one is this site.
        ("resource", [client.resource] if client.resource else [], services[1:]),
    ):
        if unknown := set(wanted) - set(offered):
            sentence = _("Apps can’t have “%(name)s”.") % {"name": min(unknown)}
            raise ValidationError({field: sentence})


def _check_called_uris(client: "Client") -> None:
    """Check the URIs to which this site sends requests.

    Raises:
        ValidationError: a URI is not allowed, or is private and not confirmed as such.
    """
    for field, uri, is_private in (
        (
            "backchannel_logout_uri",
            client.backchannel_logout_uri,
            client.backchannel_logout_is_private,
        ),
        ("jwks_uri", client.jwks_uri, client.jwks_uri_is_private),
    ):
        if not uri:
            continue
        try:
            uris.check(uri, is_public=False)
        except ValidationError as error:
            raise ValidationError({field: error}) from None
        if uris.names_private_host(uri) and not is_private:
            sentence = _("This URI is in a private network. Confirm that.")
            raise ValidationError({field: sentence})


def _check_source(client: "Client") -> None:
    """Check that a self-described app has none of the rights that only an operator can give.

    Raises:
        ValidationError: the app is self-described, and is first-party or may be called at private
            IP addresses.
    """
    for field in ("is_first_party", "backchannel_logout_is_private", "jwks_uri_is_private"):
        if getattr(client, field) and client.source != client.Source.OPERATOR:
            sentence = _("Only an app that an operator has registered can have this.")
            raise ValidationError({field: sentence})


def _check_keys(client: "Client") -> None:
    """Check the keys, and drop everything but their public members.

    Raises:
        ValidationError: see :func:`keys.checked`; or the app is public, or also has a URI
            for its keys.
    """
    field = "jwks_uri" if client.jwks is None else "jwks"
    if client.is_public and (client.jwks_uri or client.jwks is not None):
        sentence = _("A public app can’t keep a key secret, so it has none.")
        raise ValidationError({field: sentence})
    if client.jwks is None:
        return
    if client.jwks_uri:
        sentence = _("Enter the keys or their URI, but not both.")
        raise ValidationError({"jwks_uri": sentence})
    try:
        client.jwks = keys.checked(client.jwks)
    except ValidationError as error:
        raise ValidationError({"jwks": error}) from None


def keeps_subjects(client: "Client") -> bool:
    """Return whether people keep their identifiers at ``client`` when it is saved."""
    stored = type(client).objects.filter(pk=client.pk).exclude(sector=client.sector)
    return not stored.filter(connections__isnull=False).exists()


def _check_sector(client: "Client") -> None:
    """Check ``sector``.

    An app with pairwise identifiers must not learn the ids of accounts. Therefore it gets no tokens
    for an API, and does not introspect the tokens of other apps.

    Raises:
        ValidationError: the sector is not a host; the app has described itself, and is a device
            or has redirect URIs at another host; the app uses an API or is a service; or
            the sector changes although people use the app, which would not recognize them any more.
    """
    if not client._state.adding and not keeps_subjects(client):
        sentence = _(
            "You can’t change this: people use the app, and it wouldn’t recognize them any more."
        )
        raise ValidationError({"sector": sentence})
    if not client.sector:
        return
    is_operators = client.source == client.Source.OPERATOR
    # A device gets its tokens without a redirect URI, so these prove nothing about it.
    is_its_host = client.sector == uris.sector_of(client.redirect_uris)
    if not is_operators and (client.is_device or not is_its_host):
        sentence = _("Only an app that an operator has registered can have this.")
        raise ValidationError({"sector": sentence})
    if not uris.is_host(client.sector):
        raise ValidationError({"sector": _("Enter a host in lower case, without a port.")})
    has_api = client.audiences or not scopes.API_SCOPES.isdisjoint(client.scope.split())
    if has_api or client.resource:
        sentence = _("An app with pairwise identifiers can’t use an API or be a service.")
        raise ValidationError({"sector": sentence})


def _check_uris(client: "Client", field: str) -> None:
    """Check the URIs in ``field``.

    Raises:
        ValidationError: a URI is not allowed, or there are too many.
    """
    given = getattr(client, field)
    if len(given) > MOST_URIS:
        sentence = _("Enter at most %(count)s URIs.") % {"count": MOST_URIS}
        raise ValidationError({field: sentence})
    is_operators = client.source == client.Source.OPERATOR
    for uri in given:
        try:
            uris.check(uri, is_public=client.is_public, may_be_localhost=not is_operators)
        except ValidationError as error:
            raise ValidationError({field: error}) from None
