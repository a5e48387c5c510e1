"""Checks the fields of an app against the rules of OAuth and of this site."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.oauth import scopes
from accounts.oauth.clients import keys, uris

if TYPE_CHECKING:
    from accounts.oauth.clients.models import Client

MOST_URIS = 50
# A field, and what is wrong with it.
type Problem = tuple[str, str | ValidationError]


def check(client: "Client") -> None:
    """Check all fields of ``client`` except their types and lengths.

    Raises:
        ValidationError: see :meth:`Client.clean`.
    """
    for rule in (_uris, _called_uris, _keys, _source, _sector, _first_party, _offered):
        for field, problem in rule(client):
            raise ValidationError({field: problem})


def _uris(client: "Client") -> Iterator[Problem]:
    if not (client.redirect_uris or client.is_device):
        yield "redirect_uris", _("Only a device needs no redirect URI.")
    is_operators = client.source == client.Source.OPERATOR
    for field in ("redirect_uris", "logout_uris"):
        given = getattr(client, field)
        if len(given) > MOST_URIS:
            yield field, _("Enter at most %(count)s URIs.") % {"count": MOST_URIS}
        for uri in given:
            try:
                uris.check(uri, is_public=client.is_public, may_be_localhost=not is_operators)
            except ValidationError as error:
                yield field, error


def _called_uris(client: "Client") -> Iterator[Problem]:
    """Check the URIs to which this site sends requests."""
    for field, confirmed in (
        ("backchannel_logout_uri", client.backchannel_logout_is_private),
        ("jwks_uri", client.jwks_uri_is_private),
    ):
        if not (uri := getattr(client, field)):
            continue
        try:
            uris.check(uri, is_public=False)
        except ValidationError as error:
            yield field, error
        if uris.names_private_host(uri) and not confirmed:
            yield field, _("This URI is in a private network. Confirm that.")


def _keys(client: "Client") -> Iterator[Problem]:
    """Check the keys, and drop everything but their public members."""
    if client.is_public and (client.jwks_uri or client.jwks is not None):
        field = "jwks_uri" if client.jwks is None else "jwks"
        yield field, _("A public app can’t keep a key secret, so it has none.")
    if client.jwks is None:
        return
    if client.jwks_uri:
        yield "jwks_uri", _("Enter the keys or their URI, but not both.")
    try:
        client.jwks = keys.checked(client.jwks)
    except ValidationError as error:
        yield "jwks", error


def _source(client: "Client") -> Iterator[Problem]:
    """Check that a self-described app has none of the rights that only an operator can give."""
    if client.source == client.Source.OPERATOR:
        return
    # A device gets its tokens without a redirect URI, so these prove nothing about it.
    is_its_host = client.sector == uris.sector_of(client.redirect_uris) and not client.is_device
    rights = {
        "is_first_party": client.is_first_party,
        "backchannel_logout_is_private": client.backchannel_logout_is_private,
        "jwks_uri_is_private": client.jwks_uri_is_private,
        "sector": client.sector and not is_its_host,
    }
    for field, has_right in rights.items():
        if has_right:
            yield field, _("Only an app that an operator has registered can have this.")


def keeps_subjects(client: "Client") -> bool:
    """Return whether people keep their identifiers at ``client`` when it is saved."""
    stored = type(client).objects.filter(pk=client.pk).exclude(sector=client.sector)
    return not stored.filter(connections__isnull=False).exists()


def _sector(client: "Client") -> Iterator[Problem]:
    """Check ``sector``.

    An app with pairwise identifiers must not learn the ids of accounts. Therefore it gets no tokens
    for an API, and does not introspect the tokens of other apps.
    """
    if not client._state.adding and not keeps_subjects(client):
        sentence = _(
            "You can’t change this: people use the app, and it wouldn’t recognize them any more."
        )
        yield "sector", sentence
    if not client.sector:
        return
    if not uris.is_host(client.sector):
        yield "sector", _("Enter a host in lower case, without a port.")
    has_api = client.audiences or not scopes.API_SCOPES.isdisjoint(client.scope.split())
    if has_api or client.resource:
        yield "sector", _("An app with pairwise identifiers can’t use an API or be a service.")


def _first_party(client: "Client") -> Iterator[Problem]:
    if client.is_first_party and not all(map(uris.is_claimed, client.redirect_uris)):
        sentence = _(
            "Any program on a device can receive what is sent to the redirect URIs that don’t "
            "begin with https://, so people must be asked."
        )
        yield "is_first_party", sentence


def _offered(client: "Client") -> Iterator[Problem]:
    """Check that this site has the scopes and services that the app may request."""
    services = scopes.audiences()
    for field, wanted, offered in (
        ("scope", client.scope.split(), scopes.known()),
        ("audiences", client.audiences, services),
        # The first one is this site.
        ("resource", [client.resource] if client.resource else [], services[1:]),
    ):
        if unknown := set(wanted) - set(offered):
            yield field, _("Apps can’t have “%(name)s”.") % {"name": min(unknown)}
