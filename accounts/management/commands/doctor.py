"""``doctor``: test the running deployment, and explain problems and their solutions."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandParser

from accounts.management.answers import ResultCommand
from accounts.ops.doctor import inside, outside
from accounts.ops.doctor.findings import Finding
from accounts.ops.doctor.outside import Reach
from accounts.passwords import hashers


class Command(ResultCommand):
    """Exits with 1 if anything is wrong. It changes nothing, and sends no email."""

    help = (
        "Test the running site from inside and over the network: TLS, headers, proxy, database, "
        "Redis, mail, keys, staff. Run it on a node, with the settings of the site."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connect", help="HOST:PORT to connect to, in place of ORIGIN's")
        parser.add_argument("--plain-port", type=int, help="the port for plain HTTP; 0: skip it")
        parser.add_argument("--ca", default="", help="file of a certificate authority to trust")
        parser.add_argument("--inside", action="store_true", help="do not ask the running site")

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if self.findings:
            sys.exit(1)

    def answer(self, **options: Any) -> dict[str, Any]:
        self.findings = list(_findings(options))
        rows = [{"code": f.code, "sentence": f.sentence, "advice": f.advice} for f in self.findings]
        facts = {"version": settings.VERSION, "argon2": hashers.BUILD}
        return facts | {"healthy": not rows, "findings": rows}

    def words(self, facts: dict[str, Any]) -> str:
        lines = ["{sentence}\n  {advice}".format(**row) for row in facts["findings"]]
        about = "authsite {version}, Argon2: build {argon2}".format(**facts)
        return "\n".join([about, *(lines or ["Nothing is wrong."])])


def _findings(options: dict[str, Any]) -> Iterator[Finding]:
    config = settings.AUTHSITE
    yield from inside.check(config)
    if not options["inside"]:
        yield from outside.check(_reach(options))


def _reach(options: dict[str, Any]) -> Reach:
    config = settings.AUTHSITE
    origin = urlsplit(config.origin)
    port = origin.port or (443 if config.https else 80)
    plain = options["plain_port"]
    reach = Reach(
        config, origin.hostname or "", port, 80 if plain is None else plain, options["ca"]
    )
    if not options["connect"]:
        return reach
    host, _colon, other = options["connect"].rpartition(":")
    return replace(reach, host=host.strip("[]"), port=int(other))
