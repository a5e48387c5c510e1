"""Run nginx and Caddy in front of a site, with the files of ``deploy/``.

Only ports, paths and timeouts are changed.
"""

import getpass
import grp
import json
import os
import re
import socket
from pathlib import Path
from typing import Self

from tests.support.https import TlsClient
from tests.support.missing import find, missing
from tests.support.process import Process, free_port, listening, run
from tests.support.raw_http import exchange
from tests.support.site import ROOT, Client, Site
from tests.support.steps import WRONG, sql

DEPLOY = ROOT / "deploy"
NAME = "accounts.example.org"
ORIGIN = f"https://{NAME}"
TOKEN = "/api/v1/token/"
# The IP address of a client, or of a content delivery network.
EDGE = "127.0.0.9"
SILENT_SECONDS = 3.0

# Regular expressions, and what replaces their matches.
type Changes = dict[str, str]


def certify(folder: Path, name: str, days: int = 30) -> Path:
    """Return the authority of the certificate in a folder; make both if they do not exist."""
    authority = folder / "authority.pem"
    if authority.exists():
        return authority
    folder.mkdir(exist_ok=True)
    openssl = find("openssl") or missing("openssl")
    common = f"req -x509 -days {days} -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256"
    signing = "-subj /CN=authority -addext keyUsage=critical,keyCertSign"
    # Certificates of trustme are too old and have a critical name for sslyze.
    serving = (
        f"-subj /CN={name} -addext subjectAltName=DNS:{name},IP:127.0.0.1 "
        "-addext extendedKeyUsage=serverAuth "
        "-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature"
    )
    for words in (
        f"{signing} -keyout authority.key -out authority.pem",
        f"{serving} -CA authority.pem -CAkey authority.key -keyout privkey.pem -out fullchain.pem",
    ):
        run(openssl, *common.split(), *words.split(), cwd=folder)
    return authority


class Proxy:
    """A proxy in front of ``site`` that listens on two free ports of the loopback interface."""

    name: str
    host = NAME
    # The time limit for an answer of the site; the files of ``deploy/`` have 30 seconds.
    seconds = 1
    process: Process

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder = folder
        self.site = site
        self.acme = folder / "acme"
        # The folder with the maintenance page.
        self.pages = str(folder / "pages")
        self.http, self.https = free_port(), free_port()

    def __enter__(self) -> Self:
        home = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(self.folder))
        log = self.folder / "log"
        self.process = Process(self.command(), log, env=os.environ | home, cwd=ROOT)
        self.process.wait_until(self._answers, self.name)
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.stop()

    @property
    def authority(self) -> Path:
        raise NotImplementedError

    def command(self) -> list[str | Path]:
        """Write the proxy's files, and return the command that starts it in the foreground."""
        raise NotImplementedError

    def template(self, name: str, changes: Changes) -> str:
        """Return a file of ``deploy/`` with replacements; each pattern must occur in the file."""
        text = (DEPLOY / name).read_text()
        for pattern, replacement in changes.items():
            text, found = re.subn(pattern, replacement, text)
            assert found, f"{name} has no {pattern}"
        return text

    def client(self, *, peer: str = "127.0.0.1") -> TlsClient:
        return TlsClient(f"https://{self.host}", self.https, self.authority, peer=peer)

    def plain(self) -> Client:
        return Client(f"http://{NAME}", connect=("127.0.0.1", self.http))

    def raw(self, request: str, *, tls: bool = True) -> str:
        """Send a raw request and return everything that the proxy answers.

        Reading ends when the connection is closed or silent for a while.
        """
        if tls:
            connection: socket.socket = self.client().socket()
        else:
            connection = socket.create_connection(("127.0.0.1", self.http))
        with connection:
            connection.settimeout(SILENT_SECONDS)
            return exchange(connection, request)

    def _answers(self) -> bool:
        try:
            self.client().socket().close()
        except OSError:
            return False
        return listening(self.http)

    def logs(self) -> str:
        files = [self.folder / "log", *self.folder.glob("*.log")]
        return "".join(file.read_text(errors="replace") for file in files)


def recorded_ip(proxy: Proxy, peer: str, named: str, header: str = "X-Forwarded-For") -> str:
    """Sign in with a wrong password from ``peer``; return the IP address that the site records.

    The client claims that ``named`` is its address.
    """
    guess = {"username": f"{proxy.name}{header}{peer}{len(named)}", "password": WRONG}
    headers = {"Content-Type": "application/json", header: named}
    body = json.dumps(guess).encode()
    assert proxy.client(peer=peer).request("POST", TOKEN, body=body, headers=headers).status == 401
    (newest,) = sql(proxy.site, "SELECT ip FROM accounts_activity ORDER BY id DESC LIMIT 1")
    return str(newest[0])


class Nginx(Proxy):
    """nginx, with a certificate in ``tls/``.

    ``changes`` are further replacements in ``authsite.conf``. ``snippets``, with replacements, are
    included in the http context. ``former`` is a former host name of the site.
    """

    name = "nginx"

    def __init__(
        self,
        folder: Path,
        site: Site,
        changes: Changes | None = None,
        snippets: dict[str, Changes] | None = None,
        *,
        host: str = NAME,
        former: str = "",
    ) -> None:
        super().__init__(folder, site)
        self.host = host
        self._former = former
        self._changes = changes or {}
        self._snippets = snippets or {}

    @property
    def authority(self) -> Path:
        return certify(self.folder / "tls", self.host)

    def command(self) -> list[str | Path]:
        program = find("nginx", also_in=[Path("/usr/sbin")]) or missing("nginx")
        module = next(Path("/usr/lib/nginx/modules").glob("*headers_more*.so"), None)
        if module is None:
            missing("nginx's module headers-more")
        self.acme.mkdir(exist_ok=True)
        (self.folder / "snippets").mkdir(exist_ok=True)
        certify(self.folder / "tls", self.host)
        folder = str(self.folder)
        listening = {
            "listen ([48][0-9]+)": r"listen 127.0.0.1:\1",
            r"listen \[::\]": "listen 127.0.0.2",
            r"listen (\S+):80\b": rf"listen \1:{self.http}",
            r"listen (\S+):443\b": rf"listen \1:{self.https}",
            "/etc/authsite/tls": f"{folder}/tls",
            "/var/www/acme": str(self.acme),
        }
        files = {
            "authsite.conf": {
                **listening,
                NAME: self.host,
                "127.0.0.1:8000": f"127.0.0.1:{self.site.port}",
                "proxy_read_timeout 30s": f"proxy_read_timeout {self.seconds}s",
                **self._changes,
            },
            "snippets/authsite.conf": {"/var/log/nginx": folder, "/var/www/authsite": self.pages},
            "snippets/authsite-headers.conf": {},
            "snippets/authsite-tls.conf": {},
            **{f"snippets/{name}": changes for name, changes in self._snippets.items()},
        }
        if self._former:
            files["former-name.conf"] = {**listening, "former.example.org": self._former}
        for name, changes in files.items():
            (self.folder / name).write_text(self.template(f"nginx/{name}", changes))
        main = self.folder / "nginx.conf"
        # Has the directives of Debian's own nginx.conf that could do harm, such as gzip.
        main.write_text(f"""
            load_module {module};
            user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};
            pid {folder}/nginx.pid;
            daemon off;
            events {{}}
            http {{
                {"".join(f"{kind}_temp_path {folder}/{kind};" for kind in TEMPORARY)}
                access_log {folder}/access.log;
                gzip on;
                {"".join(f"include snippets/{name};" for name in self._snippets)}
                include authsite.conf;
                {"include former-name.conf;" if self._former else ""}
            }}
        """)
        return [program, "-c", main, "-e", f"{folder}/error.log"]


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Caddy(Proxy):
    """Caddy, with its local authority in place of a public one.

    ``recipes``, with replacements, are files of ``deploy/caddy`` that are installed, too.
    """

    name = "Caddy"

    def __init__(self, folder: Path, site: Site, recipes: dict[str, Changes] | None = None) -> None:
        super().__init__(folder, site)
        self._recipes = recipes or {}

    @property
    def authority(self) -> Path:
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def command(self) -> list[str | Path]:
        program = find("caddy") or missing("Caddy")
        ports = f"http_port {self.http}\n\thttps_port {self.https}\n\tdefault_bind 127.0.0.1"
        changes = {
            "auto_https .*": rf"local_certs\n\tskip_install_trust\n\t{ports}\n\t\g<0>",
            "/var/lib/caddy": str(self.folder),
            "/var/www/authsite": self.pages,
            "127.0.0.1:8000": f"127.0.0.1:{self.site.port}",
            "response_header_timeout 30s": f"response_header_timeout {self.seconds}s",
        }
        config = self.folder / "Caddyfile"
        config.write_text(self.template("Caddyfile", changes))
        for name, replacements in self._recipes.items():
            (self.folder / name).write_text(self.template(f"caddy/{name}", replacements))
        return [program, "run", "--config", config]
