"""The section "Back to any moment" of ``docs/operating.md``, run with a PostgreSQL of its own."""

import re
import signal
import time

import pytest

from tests.support.docs_examples import Shell, blocks_of, run_on_a_node
from tests.support.services import Postgres
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import LOGIN, join, same_browser, sign_in, sql

pytestmark = [pytest.mark.postgres, pytest.mark.proof]

CONTROL = re.compile(r"(?m)^systemctl (stop|start|restart) postgresql\n")
SECONDS = 1200
MOMENT = "2026-11-30 12:00:00+00"


def paste(block, server, shell, values):
    """Run a block in the shell of the user of PostgreSQL, and its lines for systemd here."""
    for documented, real in values.items():
        block = block.replace(documented, real)
    for part in CONTROL.split(block):
        match part:
            case "stop":
                server.stop()
            case "start":
                server.start()
            case "restart":
                server.stop()
                server.start()
            case lines:
                shell.run(lines)


def test_postgresql_goes_back_to_a_moment_and_later_deletions_are_repeated(tmp_path):
    blocks = [block.lines for block in blocks_of("operating.md", "sh")]
    first = next(n for n, block in enumerate(blocks) if "archive_mode" in block)
    archive, base, back, wait, site_block = blocks[first : first + 5]
    with Postgres() as server:
        # As systemd does: PostgreSQL then archives the rest of its log.
        server.stop_signal = signal.SIGINT
        libpq = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
        values = {
            "/var/lib/postgresql/17/main": f"{server.folder}/data",
            "/var/lib/postgresql/archive": f"{server.folder}/archive",
            "/usr/lib/postgresql/17/bin": str(server.program.resolve().parent),
        }
        within = ["runuser", "--user", server.owner, "--"] if server.owner else []
        with (
            Shell(server.folder, libpq, within=within, seconds=SECONDS) as shell,
            Site(DATABASE_URL=server.database(), **CHEAP_HASHES) as site,
        ):
            alice = site.client()
            join(site, alice, "alice")
            join(site, site.client(), "bob")
            site.stop()
            paste(archive, server, shell, values)
            paste(base, server, shell, values)
            site.start()
            join(site, site.client(), "carol")
            ((moment,),) = sql(site, "SELECT now()")
            time.sleep(1)
            site.manage("delete_user", "bob", "--now")
            site.manage("prune")
            join(site, site.client(), "mallory")
            site.stop()

            for block in (back, wait):
                paste(block, server, shell, values | {MOMENT: str(moment)})
            told = run_on_a_node(site_block, site, tmp_path)
            site.start()

            assert "1 accounts were deleted again." in told
            names = sql(site, "SELECT username FROM accounts_user ORDER BY username")
            assert names == [("alice",), ("carol",)]
            assert same_browser(site, alice).get("/").location.startswith(LOGIN)
            assert sign_in(site.client(), "carol").location == "/"
            # The next base backup is of the new timeline.
            paste(base.replace("%Y%m%d", "%s"), server, shell, values)
