"""The doctor finds nothing wrong with the files of ``deploy/``, and each fault of a proxy."""

import gzip
import http.client
import json
import ssl
import threading
from contextlib import closing
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from accounts.common.environment import read
from accounts.ops.doctor import outside
from accounts.ops.doctor.outside import Reach
from accounts.passwords.hashers import BUILD
from authsite import __version__
from tests.support.doctor import FAULTS
from tests.support.process import free_port
from tests.support.proxies import NAME, ORIGIN, Nginx, certify
from tests.support.site import ROOT, Site, production
from tests.support.smtp import MailServer
from tests.support.steps import sql

# Faults that remove a header of the answer.
DROPPED = {"hsts": "Strict-Transport-Security", "headers": "X-Frame-Options"}
NOT_FORWARDED = {"host", "connection", "content-length"}


class FaultyProxy:
    """Forwards to the site at ``port``. ``fault`` is the code that the doctor should find."""

    def __init__(self, folder, port, fault=""):
        days = 5 if fault == "tls_expires" else 30
        name = "other.example.org" if fault == "tls_untrusted" else NAME
        self.authority = certify(folder / f"{name}-{days}", name, days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if fault == "tls_old":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
        tls = self.authority.parent
        context.load_cert_chain(tls / "fullchain.pem", tls / "privkey.pem")
        self._secure = _Server(_Forward, port, fault, context)
        self._plain = _Server(_Redirect, port, fault)
        self.https, self.http = self._secure.server_port, self._plain.server_port

    def __enter__(self):
        for server in (self._secure, self._plain):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error):
        for server in (self._secure, self._plain):
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    block_on_close = False

    def __init__(self, handler, port, fault, context=None):
        super().__init__(("127.0.0.1", 0), handler)
        self.port, self.fault = port, fault
        self.cache = {}
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_args):
        """Ignore clients that go away, as the doctor does when it tries old versions of TLS."""


class _Quiet(BaseHTTPRequestHandler):
    @property
    def fault(self):
        return self.server.fault

    def log_message(self, *_args):
        """Keep the requests out of the output of the tests."""


class _Redirect(_Quiet):
    def do_GET(self):
        host = f"https://{self.headers['Host']}" if self.fault == "redirect_host" else ORIGIN
        self.send_response(200 if self.fault == "redirect_missing" else 301)
        self.send_header("Location", f"{host}{self.path}")
        self.end_headers()


class _Forward(_Quiet):
    def do_GET(self):
        if self.fault == "static_broken" and self.path.startswith("/static/"):
            self.send_error(404)
            return
        # The site trusts 127.0.0.1 only.
        source = ("127.0.0.2" if self.fault == "proxy_untrusted" else "127.0.0.1", 0)
        port = self.server.port
        with closing(http.client.HTTPConnection("127.0.0.1", port, source_address=source)) as site:
            answer = self._forward(site)
        if self.fault == "cached":
            answer = deepcopy(self.server.cache.setdefault(self.path, answer))
        self._answer(*answer)

    do_POST = do_GET  # noqa: N815 the name that the library calls

    def _forward(self, site):
        length = int(self.headers["Content-Length"] or 0)
        body = b"" if self.fault == "bodies_unbuffered" else self.rfile.read(length)
        site.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self._headers().items():
            site.putheader(name, value)
        if length:
            site.putheader("Content-Length", str(length))
        site.endheaders(body or None)
        if self.fault == "bodies_unbuffered":
            for _byte in range(length):
                site.send(self.rfile.read(1))
        answer = site.getresponse()
        return answer.status, answer.headers, answer.read()

    def _headers(self):
        sent = {n: v for n, v in self.headers.items() if n.lower() not in NOT_FORWARDED}
        if self.fault != "underscores":
            sent = {name: value for name, value in sent.items() if "_" not in name}
        own = {
            "Host": NAME,
            "X-Forwarded-For": self.client_address[0],
            "X-Forwarded-Proto": "https",
        }
        if self.fault == "client_forged":
            del own["X-Forwarded-For"]
        if self.fault == "scheme":
            del own["X-Forwarded-Proto"]
        return sent | own

    def _answer(self, status, headers, body):
        for name in ("Content-Length", "Connection", "Date", DROPPED.get(self.fault, "Via")):
            del headers[name]
        if self.fault == "server_named":
            headers.replace_header("Server", "nginx/1.24")
        takes_gzip = "gzip" in self.headers.get("Accept-Encoding", "")
        if self.fault == "compressed" and takes_gzip and not headers["Content-Encoding"]:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        self.send_response_only(status)
        for name, value in headers.items():
            is_bad = self.fault == "cookies" and name.lower() == "set-cookie"
            self.send_header(name, value.replace("; Secure", "") if is_bad else value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    with production(tmp_path_factory.mktemp("production"), ORIGIN) as site:
        yield site


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the old version of TLS
@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_the_doctor_finds_exactly_the_fault_of_a_proxy(
    behind, settings, tmp_path, monkeypatch, fault
):
    settings.SECRET_KEY = "another" if fault == "probe_refused" else behind.env["SECRET_KEY"]
    if fault == "descriptors":
        monkeypatch.setattr(outside, "LEAST_DESCRIPTORS", 10**9)
    config = read(behind.env | {"DATA_DIR": str(behind.data_dir)}, ROOT)
    with FaultyProxy(tmp_path, behind.port, fault) as proxy:
        port = free_port() if fault in {"unreachable", "origin_port"} else proxy.https
        if fault == "origin_port":
            monkeypatch.setitem(outside.PORTS, True, proxy.https)
        reach = Reach(config, "127.0.0.1", port, proxy.http, str(proxy.authority))
        codes = {finding.code for finding in outside.check(reach)}

    assert codes == ({FAULTS[fault]} if fault else set())


def test_the_doctor_finds_nothing_wrong_with_the_files_of_deploy(tmp_path, postgres, redis_server):
    url = postgres.database()
    redis_server.flush()
    Site(data_dir=tmp_path, DATABASE_URL=url).make_database()
    role = f"{url.rpartition('/')[2]}_role"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE ROLE {role} LOGIN")
        for kind in ("TABLES", "SEQUENCES"):
            db.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {role}")
    own = url.replace("postgres@", f"{role}@")
    with MailServer() as mail:
        services = {"DATABASE_URL": own, "REDIS_URL": redis_server.url, "EMAIL_URL": mail.url}
        services["BACKUP_DAYS"] = "0"
        (tmp_path / "proxy").mkdir()
        site = production(tmp_path, ORIGIN, **services)
        site._migrate = False
        site.collect_static()
        carol = ("--username=carol", "--email=carol@example.org")
        site.manage("createsuperuser", "--noinput", *carol)
        sql(site, "UPDATE accounts_user SET has_factor = true")
        with site, Nginx(tmp_path / "proxy", site) as proxy:
            reach = ["--connect", f"127.0.0.1:{proxy.https}", "--plain-port", str(proxy.http)]
            told = site.manage("doctor", *reach, "--ca", str(proxy.authority), "--json")

    about = {"version": __version__, "argon2": BUILD}
    assert json.loads(told) == about | {"healthy": True, "findings": []}


def test_the_doctor_names_faults_of_postgresql(postgres):
    url = postgres.database()
    with Site(DATABASE_URL=url) as site:
        with psycopg.connect(url, autocommit=True) as db:
            later = "SELECT now() + interval '1 hour'"
            db.execute(
                f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz AS $${later}$$ LANGUAGE sql"
            )
            name = url.rpartition("/")[2]
            for setting in ("search_path = public, pg_catalog", "synchronous_commit = off"):
                db.execute(f"ALTER DATABASE {name} SET {setting}")
            db.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            db.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 23")
            lag = "SELECT interval '5 minutes' AS replay_lag"
            db.execute(f"CREATE VIEW pg_stat_replication AS {lag}")
        with pytest.raises(AssertionError) as failed:
            site.manage("doctor", "--inside")

    assert "The database role postgres is a superuser" in str(failed.value)
    assert "differ by 3600 seconds" in str(failed.value)
    assert "can only be read: default_transaction_read_only is on" in str(failed.value)
    assert "synchronous_commit is off" in str(failed.value)
    assert "A standby server is 300 seconds behind." in str(failed.value)
    assert "The database of PostgreSQL allows 23 connections, but 1 nodes" in str(failed.value)
