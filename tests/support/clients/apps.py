"""Run the apps of ``docs/sign-in-with.md`` and ``docs/other-apps.md`` as the pages print them."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.docs_examples import blocks_of
from tests.support.https import TlsClient
from tests.support.missing import find, missing
from tests.support.node import node, packages
from tests.support.process import free_port, run, serving
from tests.support.receiver import Receiver, Server, say
from tests.support.site import ROOT, Client
from tests.support.virtualenvs import environment

HERE = ROOT / "tests/clients"
SHOP = "https://shop.example.org"
# Where Node, Python's requests, and OpenSSL and Go read which certificates they trust.
TRUST = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
GO_PACKAGES = Path("/usr/share/gocode")
APACHE_MODULES = Path("/usr/lib/apache2/modules")
LOADED = (
    "mpm_event authn_core authz_core authz_user proxy proxy_http ssl socache_shmcb auth_openidc"
)


def _read() -> dict[str, tuple[list[str], str]]:
    """Return, by file name, each app of the pages and the command above it that registers it."""
    found, command = {}, []
    for page in ("sign-in-with.md", "other-apps.md"):
        for block in blocks_of(page, "sh", "python", "js", "html", "apache", "go"):
            if block.language == "sh":
                command = shlex.split(block.lines)
            else:
                found[block.lines.split()[1]] = command[2:], block.lines
    return found


APPS = _read()


def register(site: Any, name: str, **changes: str) -> dict[str, str]:
    """Register the app ``name`` by its command, and return what the command prints.

    ``changes`` maps words of the command to others, because the command is for a real host.
    """
    words = [changes.get(word, word) for word in APPS[name][0]]
    return dict(json.loads(site.manage(*words, "--json")))


class Shop:
    """An app of the page that runs behind a TLS proxy, for which the test stands in."""

    def __init__(self, name: str, folder: Path, site: Any) -> None:
        self.port = free_port()
        self.name, self.folder, self.env = name, folder, dict(os.environ)
        registered = self._register(site)
        (folder / name).write_text(self._program())
        self.env |= {
            "CLIENT_ID": registered["client_id"],
            "CLIENT_SECRET": registered.get("client_secret", ""),
            "GOMAXPROCS": "1",
            "ISSUER": site.origin,
            "PORT": str(self.port),
            "SECRET_KEY": "a long text that the tests do not need to hide",
        }
        # A development site speaks no TLS.
        self.authority = getattr(site, "authority", None)
        if self.authority:
            self.env |= dict.fromkeys(TRUST, str(self.authority))

    def client(self) -> Client:
        """Return a client that says, as the proxy does, that its requests came by TLS."""
        proxied = {"X-Forwarded-Proto": "https"}
        return Client(SHOP, connect=("127.0.0.1", self.port), headers=proxied)

    @contextmanager
    def running(self) -> Iterator["Shop"]:
        command = getattr(self, "_" + self.name.rpartition(".")[2])()
        with serving(command, self.folder / "log", self.port, env=self.env, cwd=self.folder):
            yield self

    def _register(self, site: Any) -> dict[str, str]:
        return register(site, self.name)

    def _program(self) -> str:
        return APPS[self.name][1]

    def _py(self) -> list[str | Path]:
        programs, module = environment(HERE / "requirements.txt"), Path(self.name).stem
        if module.startswith("fastapi"):
            return [programs / "uvicorn", f"{module}:app", "--port", str(self.port)]
        self._run(programs / "python", self.name, "migrate", "--verbosity", "0")
        where = f"127.0.0.1:{self.port}"
        return [programs / "python", self.name, "runserver", "--noreload", where]

    def _mjs(self) -> list[str | Path]:
        if not (modules := self.folder / "node_modules").exists():
            modules.symlink_to(packages(HERE))
        return [node(), self.name]

    def _go(self) -> list[str | Path]:
        go = find("go") or missing("Go")
        if not (GO_PACKAGES / "src/github.com/coreos/go-oidc/v3").exists():
            missing("golang-github-coreos-go-oidc-v3-dev")
        cache = str(ROOT / ".cache/go")
        self.env |= {"GO111MODULE": "off", "GOCACHE": cache, "GOPATH": str(GO_PACKAGES)}
        # Without a go.mod, Go assumes a version that did not know methods in patterns.
        self.env["GODEBUG"] = "httpmuxgo121=0"
        self._run(go, "build", "-p", "1", "-o", "shop", self.name)
        return [self.folder / "shop"]

    def _run(self, *words: str | Path) -> None:
        """Run a program that prepares the app."""
        run(*words, cwd=self.folder, env=self.env)


class BoundShop(Shop):
    """The Express app, with tokens that are bound to its key."""

    def _register(self, site: Any) -> dict[str, str]:
        (self.folder / "with_dpop.mjs").write_text(APPS["with_dpop.mjs"][1])
        return register(site, "with_dpop.mjs")

    def _program(self) -> str:
        program, module = super()._program(), 'from "openid-client"'
        assert module in program
        return program.replace(module, 'from "./with_dpop.mjs"')


class UnchallengedShop(Shop):
    """The FastAPI app, whose library is not told to use PKCE."""

    def _register(self, site: Any) -> dict[str, str]:
        return dict(json.loads(site.manage(*APPS[self.name][0], "--no-pkce", "--json")))

    def _program(self) -> str:
        program, option = super()._program(), ', "code_challenge_method": "S256"'
        assert option in program
        return program.replace(option, "")


class KeyedShop(Shop):
    """The Express app, which signs with a key instead of sending a secret."""

    def _register(self, site: Any) -> dict[str, str]:
        for name in ("new_key.mjs", "with_key.mjs"):
            (self.folder / name).write_text(APPS[name][1])
        return self._registered(site)

    def _registered(self, site: Any) -> dict[str, str]:
        self._run(node(), "new_key.mjs")
        return register(site, "with_key.mjs", **{"jwks.json": f"{self.folder}/jwks.json"})

    def _program(self) -> str:
        program = super()._program()
        line = "const site = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET);"
        assert line in program
        return program.replace(line, 'import { site } from "./with_key.mjs";')


class PublishingShop(KeyedShop):
    """The same app, whose key is not registered, but published at the server ``keys``."""

    def __init__(self, name: str, folder: Path, site: Any, keys: Receiver) -> None:
        self._keys = keys
        super().__init__(name, folder, site)

    def replace_key(self) -> None:
        """Make a new key, which the app uses from its next start, and publish only that."""
        self._run(node(), "new_key.mjs")
        self._keys.answers["/jwks"] = say(200, (self.folder / "jwks.json").read_bytes())

    def _registered(self, site: Any) -> dict[str, str]:
        self.replace_key()
        changes = {"--jwks": "--jwks-uri", "jwks.json": self._keys.url("/jwks")}
        return register(site, "with_key.mjs", **changes)


class ApacheShop(Shop):
    """Apache in front of an app that prints the headers it gets.

    The site trusts its certificate, and reaches it at its IP address.
    """

    def client(self) -> Client:
        return TlsClient(SHOP, self.port, self._tls / "authority.pem")

    def _register(self, site: Any) -> dict[str, str]:
        self._tls = site.data_dir / "shop"
        uri = "https://shop.example.org/callback?logout=backchannel"
        return register(
            site, self.name, **{uri: uri.replace("shop.example.org", f"127.0.0.1:{self.port}")}
        )

    @contextmanager
    def running(self) -> Iterator[Shop]:
        with Echo() as behind:
            self._behind = behind.port
            with super().running():
                yield self

    def _conf(self) -> list[str | Path]:
        apache = find("apache2", also_in=[Path("/usr/sbin")]) or missing("Apache")
        if not (APACHE_MODULES / "mod_auth_openidc.so").exists():
            missing("libapache2-mod-auth-openidc")
        host = self._program()
        for before, after in {
            "*:443": f"127.0.0.1:{self.port}",
            "/etc/ssl/shop": str(self._tls),
            "127.0.0.1:9000": f"127.0.0.1:{self._behind}",
        }.items():
            assert before in host
            host = host.replace(before, after)
        (self.folder / self.name).write_text(host)
        modules = "".join(
            f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in LOADED.split()
        )
        main = self.folder / "apache.conf"
        # Debian's configuration logs and stores elsewhere, and knows no authority for localhost.
        main.write_text(f"""
            {modules}
            ServerRoot {self.folder}
            ServerName localhost
            {"User www-data" if os.geteuid() == 0 else ""}
            Listen 127.0.0.1:{self.port}
            PidFile {self.folder}/apache.pid
            DefaultRuntimeDir {self.folder}
            ErrorLog {self.folder}/error.log
            StartServers 1
            ThreadsPerChild 8
            MaxRequestWorkers 8
            OIDCCABundlePath {self.authority}
            Include {self.folder}/{self.name}
        """)
        return [apache, "-D", "FOREGROUND", "-f", main]


class RefreshingApacheShop(ApacheShop):
    """The same with access tokens that stay valid, for an app that calls an API."""

    def _program(self) -> str:
        program, line = super()._program(), '    OIDCScope "openid profile email"\n'
        assert line in program
        return program.replace(line, APPS["refresh.conf"][1])


class Page:
    """The single-page app, at a loopback address in place of its real one."""

    name = "index.html"

    def __init__(self, folder: Path, site: Any) -> None:
        self.folder = folder
        self.origin = f"http://127.0.0.1:{free_port()}"
        client = register(site, self.name, **{f"{SHOP}/": f"{self.origin}/"})["client_id"]
        text = APPS[self.name][1]
        for before, after in (("https://accounts.example.org", site.origin), ("CLIENT_ID", client)):
            assert before in text
            text = text.replace(before, after)
        (folder / self.name).write_text(text)
        shutil.copy(packages(HERE) / "oidc-client-ts/dist/browser/oidc-client-ts.min.js", folder)

    @contextmanager
    def running(self) -> Iterator["Page"]:
        port = urlsplit(self.origin).port or 0
        files = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
        with serving(files, self.folder / "log", port, cwd=self.folder):
            yield self


class Echo(Server):
    """Answers each request with its headers."""

    def receive(self, request: Any, body: str) -> None:
        headers = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
        say(200, headers.encode(), **{"Content-Type": "text/plain"})(request)


# Access tokens are so short that the apps which refresh them do so at each request.
SETTINGS = {"ACCESS_TOKEN_SECONDS": "30", "LIMITS_SCALE": "1000"}
