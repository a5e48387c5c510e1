"""``add_client``: register an app that signs people in with their account here."""

import json
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from accounts.management.answers import COMMAND_LINE
from accounts.oauth import scopes
from accounts.oauth.clients import services as clients
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.management.clients import ClientCommand

FLAGS = {
    "--public": "the app runs in a browser or on a person's device, and gets no secret",
    "--device": "the app may show a code, which people type in here; it needs no redirect URI",
    "--first-party": "people are not asked for their consent",
    "--pairwise": "the app gets identifiers of people that only apps of the same host share",
    "--dpop": "the app must bind its tokens to a key, by DPoP (RFC 9449)",
}


PRIVATE = "that URI is in a private network; not needed if it names a private IP address"


class Command(ClientCommand):
    """Prints the client ID and, once, the client secret."""

    help = (
        "Register an app that signs people in with their account here. Print its client_id and, "
        "unless it is public or has a key, its client_secret, which is not stored. All superusers "
        "get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        many: dict[str, Any] = {"nargs": "+", "action": "extend"}
        parser.add_argument("name", help="the name that people see")
        parser.add_argument("--redirect-uri", **many, default=[], help="redirect URIs")
        parser.add_argument("--post-logout-uri", **many, default=[], help="URIs after signing out")
        parser.add_argument(
            "--scope",
            **many,
            choices=scopes.known(),
            help=f"scopes that the app may request; without this option: {scopes.DEFAULT}",
        )
        parser.add_argument(
            "--audience",
            **many,
            default=[],
            help="services for which the app gets access tokens: ORIGIN or TOKEN_AUDIENCES",
        )
        parser.add_argument(
            "--resource",
            default="",
            help="the service that the app is, one of TOKEN_AUDIENCES, whose tokens it introspects",
        )
        parser.add_argument(
            "--sector",
            default="",
            metavar="HOST",
            help="the host whose apps share pairwise identifiers; by default, the host of the "
            "redirect URIs",
        )
        for name, words in FLAGS.items():
            parser.add_argument(name, action="store_true", help=words)
        _add_requirements(parser)
        _add_backchannel_logout(parser)
        _add_keys(parser)
        super().add_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        client = Client(
            name=options["name"],
            redirect_uris=options["redirect_uri"],
            logout_uris=options["post_logout_uri"],
            backchannel_logout_uri=options["backchannel_logout_uri"],
            backchannel_logout_is_private=options["backchannel_logout_private"]
            or uris.names_private_host(options["backchannel_logout_uri"]),
            is_public=options["public"],
            is_device=options["device"],
            is_first_party=options["first_party"],
            scope=" ".join(options["scope"] or scopes.DEFAULT.split()),
            audiences=options["audience"],
            resource=options["resource"],
            sector=_sector(**options),
            requires_dpop=options["dpop"],
            factor=options["require"],
            required_group=_group(options["group"]) if options["group"] else None,
            jwks_uri=options["jwks_uri"],
            jwks_uri_is_private=options["jwks_uri_private"]
            or uris.names_private_host(options["jwks_uri"]),
            jwks=_read(options["jwks"]) if options["jwks"] else None,
        )
        try:
            if options["logo"]:
                client.new_logo = Path(options["logo"]).read_bytes()
                client.logo = clients.version_of(client.new_logo)
            secret = clients.create(client, COMMAND_LINE)
        except OSError as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        return {"client_id": client.pk} | ({"client_secret": secret} if secret else {})


def _add_requirements(parser: CommandParser) -> None:
    parser.add_argument(
        "--require",
        default="",
        choices=[Client.Factor.ANY.value, Client.Factor.PASSKEY.value],
        help="what people need to sign in, even if the site does not require it",
    )
    parser.add_argument(
        "--group", default="", metavar="NAME", help="only people in this group may sign in"
    )


def _add_backchannel_logout(parser: CommandParser) -> None:
    parser.add_argument(
        "--backchannel-logout-uri",
        default="",
        metavar="URI",
        help="where the app gets logout tokens when its sessions end",
    )
    parser.add_argument(
        "--backchannel-logout-private",
        action="store_true",
        help=PRIVATE,
    )


def _add_keys(parser: CommandParser) -> None:
    parser.add_argument(
        "--jwks",
        metavar="FILE",
        help="a JSON Web Key Set with the public keys of the app, which then gets no secret",
    )
    parser.add_argument("--logo", metavar="FILE", help="a square PNG file of at most 32 KB")
    parser.add_argument(
        "--jwks-uri",
        default="",
        metavar="URI",
        help="the URI at which the app publishes its JSON Web Key Set; use it instead of --jwks",
    )
    parser.add_argument("--jwks-uri-private", action="store_true", help=PRIVATE)


def _sector(pairwise: bool, sector: str, redirect_uri: list[str], **_options: Any) -> str:
    """Return the sector of pairwise identifiers, or an empty string without such identifiers.

    Raises:
        CommandError: the redirect URIs have several hosts or none, and no option names the sector.
    """
    if pairwise and not (sector or uris.sector_of(redirect_uri)):
        raise CommandError("Name the host of the pairwise identifiers with --sector.")
    return sector or (uris.sector_of(redirect_uri) if pairwise else "")


def _group(name: str) -> Group:
    """Return the group with this name.

    Raises:
        CommandError: there is no such group.
    """
    # PostgreSQL refuses a NUL character with another error.
    found = Group.objects.filter(name=name).first() if name.isprintable() else None
    if found is None:
        raise CommandError(f"There is no group {name!r}.")
    return found


def _read(file: str) -> Any:
    """Return the JSON in ``file``.

    Raises:
        CommandError: the file cannot be read, or is no JSON.
    """
    try:
        return json.loads(Path(file).read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} can't be read: {error}") from None
