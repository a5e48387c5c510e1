"""The doctor finds nothing wrong with the files of ``deploy/``, and each fault of a proxy."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accounts.common.environment import read
from accounts.ops.doctor import outside
from accounts.ops.doctor.outside import Reach
from authsite import __version__
from tests.support.doctor import FAULTS
from tests.support.faulty_proxy import FaultyProxy
from tests.support.process import free_port
from tests.support.proxies import ORIGIN, Nginx
from tests.support.services import Postgres, Redis
from tests.support.site import ROOT, Site, production
from tests.support.smtp import MailServer

OWNER = """
from django.db import transaction
from accounts.users import services
from accounts.users.models import User
with transaction.atomic():
    services.take_username("carol", until=None)
    carol = services.create_user("carol", "!")
User.objects.update(is_staff=True, is_superuser=True, has_factor=True)
"""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with production(tmp_path_factory.mktemp("production"), ORIGIN) as site:
        yield site


def found(site: Site, proxy: FaultyProxy, settings: Any, fault: str = "") -> set[str]:
    settings.SECRET_KEY = "another" if fault == "probe_refused" else site.env["SECRET_KEY"]
    port = free_port() if fault == "unreachable" else proxy.https
    config = read(site.env | {"DATA_DIR": str(site.data_dir)}, ROOT)
    reach = Reach(config, "127.0.0.1", port, proxy.http, str(proxy.authority))
    return {finding.code for finding in outside.check(reach)}


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_the_doctor_finds_exactly_the_fault_of_a_proxy(
    behind: Site, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "descriptors":
        monkeypatch.setattr(outside, "LEAST_DESCRIPTORS", 10**9)
    with FaultyProxy(tmp_path, behind.port, fault) as proxy:
        codes = found(behind, proxy, settings, fault)

    assert codes == ({FAULTS[fault]} if fault else set())


def test_the_doctor_finds_nothing_wrong_with_the_files_of_deploy(
    tmp_path: Path, postgres: Postgres, redis_server: Redis
) -> None:
    url = postgres.database()
    Site(data_dir=tmp_path, DATABASE_URL=url).make_database()
    role = f"{url.rpartition('/')[2]}_role"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE ROLE {role} LOGIN")
        for kind in ("TABLES", "SEQUENCES"):
            db.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {role}")
    own = url.replace("postgres@", f"{role}@")
    with MailServer() as mail:
        services = {"DATABASE_URL": own, "REDIS_URL": redis_server.url, "EMAIL_URL": mail.url}
        (tmp_path / "proxy").mkdir()
        site = production(tmp_path, ORIGIN, **services)
        site._migrate = False
        site.collect_static()
        site.manage("shell", "--verbosity", "0", "--command", OWNER)
        with site, Nginx(tmp_path / "proxy", site) as proxy:
            reach = ["--connect", f"127.0.0.1:{proxy.https}", "--plain-port", str(proxy.http)]
            told = site.manage("doctor", *reach, "--ca", str(proxy.authority), "--json")

    assert json.loads(told) == {"version": __version__, "healthy": True, "findings": []}


def test_the_doctor_names_a_powerful_database_role_and_a_wrong_clock(postgres: Postgres) -> None:
    url = postgres.database()
    with Site(DATABASE_URL=url) as site:
        with psycopg.connect(url, autocommit=True) as db:
            later = "SELECT now() + interval '1 hour'"
            db.execute(
                f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz AS $${later}$$ LANGUAGE sql"
            )
            name = url.rpartition("/")[2]
            db.execute(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
        done = subprocess.run(
            [sys.executable, "manage.py", "doctor", "--inside"],
            capture_output=True,
            check=False,
            cwd=ROOT,
            env=site._environment,
            text=True,
            timeout=120,
        )

    assert done.returncode == 1
    assert "The database role postgres is a superuser" in done.stdout
    assert "differ by 3600 seconds" in done.stdout
