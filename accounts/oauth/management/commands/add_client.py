"""``add_client``: register or update an app that signs people in with their account here."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import CommandError, CommandParser

from accounts.management.answers import COMMAND_LINE
from accounts.oauth import scopes
from accounts.oauth.clients import services as clients
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import ES256, Client
from accounts.oauth.management.clients import MANY, ClientCommand, add_access, find

PRIVATE = "that URI is in a private network; not needed if it names a private IP address"
FLAGS = {
    "--public": "the app runs in a browser or on a person's device, and gets no secret",
    "--device": "the app may show a code, which people type in here; it needs no redirect URI",
    "--development": "the app may use http://localhost; people are asked for consent each time",
    "--first-party": "people are not asked for their consent",
    "--pairwise": "the app gets identifiers of people that only apps of the same host share",
    "--no-pkce": "its requests need no code challenge (RFC 7636), but then a nonce",
    "--par": "the app must push its requests (RFC 9126)",
    "--dpop": "the app must bind its tokens to a key, by DPoP (RFC 9449)",
    "--backchannel-logout-private": PRIVATE,
    "--jwks-uri-private": PRIVATE,
}
LISTS = {"--redirect-uri": "redirect URIs", "--post-logout-uri": "URIs after signing out"}
# For each option: the name of its value, and its meaning.
TEXTS = {
    "--client-id": ("ID", "the client ID; an app that has it gets these options, and is not new"),
    "--resource": (
        "NAME",
        "the service that the app is, one of TOKEN_AUDIENCES, whose tokens it introspects",
    ),
    "--sector": (
        "HOST",
        "the host whose apps share pairwise identifiers; by default, the host of the redirect URIs",
    ),
    "--group": ("NAME", "only people in this group may sign in"),
    "--backchannel-logout-uri": ("URI", "where the app gets logout tokens when its sessions end"),
    "--jwks": (
        "FILE",
        "a JSON Web Key Set with the public keys of the app, which then gets no secret",
    ),
    "--jwks-uri": (
        "URI",
        "the URI at which the app publishes its JSON Web Key Set; use it instead of --jwks",
    ),
    "--logo": ("FILE", "a square PNG file of at most 32 KB"),
}
# The fields that a profile sets.
PROFILES: dict[str, dict[str, Any]] = {
    "fapi2": {
        **dict.fromkeys(("requires_par", "requires_dpop"), True),
        **{"id_token_algorithm": ES256, "rotates_refresh": False},
    }
}


class Command(ClientCommand):
    """Prints the issuer, the client ID and, once, the client secret."""

    help = (
        "Register an app that signs people in with their account here. Print the issuer, its "
        "client_id and, unless it is public or has a key, its client_secret, which is not stored. "
        "With the --client-id of an app that exists, update that app: options that are missing "
        "get their defaults, and its secret stays. All superusers get an email."
    )
    refusals = (*ClientCommand.refusals, OSError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name that people see")
        for name, words in LISTS.items():
            parser.add_argument(name, **MANY, default=[], help=words)
        add_access(parser, "the app")
        for name, (metavar, words) in TEXTS.items():
            parser.add_argument(name, default="", metavar=metavar, help=words)
        for name, words in FLAGS.items():
            parser.add_argument(name, action="store_true", help=words)
        parser.add_argument(
            "--require",
            default="",
            choices=[Client.Factor.ANY.value, Client.Factor.PASSKEY.value],
            help="what people need to sign in, even if the site does not require it",
        )
        parser.add_argument(
            "--profile",
            choices=PROFILES,
            help="fapi2: what the FAPI 2.0 Security Profile requires of an app, which needs a key",
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        fields, client_id = _fields(**options), options["client_id"]
        secret = ""
        former = clients.find_operator_app(client_id) if client_id else None
        client = former or Client(**fields)
        client.pk = client_id or client.pk
        if options["logo"]:
            client.new_logo = Path(options["logo"]).read_bytes()
            fields["logo"] = clients.version_of(client.new_logo)
        if former:
            clients.update(former, fields, COMMAND_LINE)
        else:
            client.logo = fields.get("logo", "")
            secret = clients.create(client, COMMAND_LINE)
        facts = {"issuer": settings.AUTHSITE.origin, "client_id": client.pk}
        return facts | ({"client_secret": secret} if secret else {})

    def words(self, facts: dict[str, Any]) -> str:
        """Return the result, and lines for the environment (``docs/sign-in-with.md``)."""
        lines = "\n".join(f"{name.upper()}={value}" for name, value in facts.items())
        return f"{super().words(facts)}\n\nThe environment of the app:\n\n{lines}"


def _fields(**options: Any) -> dict[str, Any]:
    """Return the fields of the app that the command-line options describe.

    Raises:
        CommandError: an option is invalid, or an option that the profile requires is missing.
    """
    group, profile = options["group"], options["profile"]
    if profile and (options["no_pkce"] or not (options["jwks"] or options["jwks_uri"])):
        raise CommandError("This profile needs PKCE, and the option --jwks or --jwks-uri.")
    return {
        "name": options["name"],
        "redirect_uris": options["redirect_uri"],
        "logout_uris": options["post_logout_uri"],
        "backchannel_logout_uri": options["backchannel_logout_uri"],
        "backchannel_logout_is_private": options["backchannel_logout_private"]
        or uris.names_private_host(options["backchannel_logout_uri"]),
        "is_public": options["public"],
        "is_device": options["device"],
        "is_development": options["development"],
        "is_first_party": options["first_party"],
        "scope": " ".join(options["scope"] or scopes.DEFAULT.split()),
        "audiences": options["audience"],
        "resource": options["resource"],
        "sector": _sector(**options),
        "requires_pkce": not options["no_pkce"],
        "requires_par": options["par"],
        "requires_dpop": options["dpop"],
        "factor": options["require"],
        "required_group": find(Group, "group", name=group) if group else None,
        "jwks_uri": options["jwks_uri"],
        "jwks_uri_is_private": options["jwks_uri_private"]
        or uris.names_private_host(options["jwks_uri"]),
        "jwks": _read(options["jwks"]) if options["jwks"] else None,
        **{"id_token_algorithm": "", "rotates_refresh": True, **PROFILES.get(profile, {})},
    }


def _sector(pairwise: bool, sector: str, redirect_uri: list[str], **_options: Any) -> str:
    """Return the sector of pairwise identifiers; an empty string if the app has none.

    Raises:
        CommandError: the redirect URIs have several hosts or none, and no option names the
            sector.
    """
    if pairwise and not (sector or uris.sector_of(redirect_uri)):
        raise CommandError("Name the host of the pairwise identifiers with --sector.")
    return sector or (uris.sector_of(redirect_uri) if pairwise else "")


def _read(file: str) -> Any:
    """Return the parsed JSON in ``file``.

    Raises:
        CommandError: the file cannot be read, or is not JSON.
    """
    try:
        return json.loads(Path(file).read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} can't be read: {error}") from None
