"""An ACME server of our own, pebble, which challenges as Let's Encrypt does; and certbot."""

import json
import os
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Self

from tests.support.missing import find, missing
from tests.support.process import Process, free_port, listening
from tests.support.proxies import DEPLOY, Proxy, certify

CERTBOT_SECONDS = 120


class Pebble:
    """It finds every name on the loopback, and the proxy's ports in place of 80 and 443.

    Its certificates are good for ``seconds``.
    """

    def __init__(self, folder: Path, proxy: Proxy, *, seconds: int = 86_400) -> None:
        self._folder = folder
        self._proxy = proxy
        self._seconds = seconds
        self._ports = {name: free_port() for name in ("acme", "management", "names", "control")}
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        names = find("pebble-challtestsrv") or missing("pebble-challtestsrv")
        pebble = find("pebble") or missing("pebble")
        off = ("http01", "https01", "tlsalpn01", "doh", "defaultIPv6")
        where = {"dns01": self._at("names"), "management": self._at("control")}
        options = dict.fromkeys(off, "") | where | {"defaultIPv4": "127.0.0.1"}
        self._start("names", [names, *(f"-{name}={value}" for name, value in options.items())])
        config = {
            "listenAddress": self._at("acme"),
            "managementListenAddress": self._at("management"),
            "certificate": str(self.authority.with_name("fullchain.pem")),
            "privateKey": str(self.authority.with_name("privkey.pem")),
            "httpPort": self._proxy.http,
            "tlsPort": self._proxy.https,
            "certificateValidityPeriod": self._seconds,
        }
        (self._folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self._start(
            "acme",
            [pebble, "-config", self._folder / "pebble.json", "-dnsserver", self._at("names")],
        )
        return self

    def __exit__(self, *_error: object) -> None:
        for process in reversed(self._processes):
            process.stop()

    @property
    def directory(self) -> str:
        return f"https://localhost:{self._ports['acme']}/dir"

    @property
    def authority(self) -> Path:
        """Whom to trust as the ACME server."""
        return certify(self._folder / "own", "localhost")

    def root(self) -> Path:
        """Whom to trust for the certificates that it signs."""
        file = self._folder / "root.pem"
        if not file.exists():
            context = ssl.create_default_context(cafile=self.authority)
            url = f"https://localhost:{self._ports['management']}/roots/0"
            with urllib.request.urlopen(url, context=context, timeout=30) as answer:
                file.write_bytes(answer.read())
        return file

    def certbot(self, *words: str | Path) -> None:
        """certbot, with an account and certificates of its own in the folder."""
        certbot = find("certbot") or missing("certbot")
        folders = [f"--{kind}-dir={self._folder / kind}" for kind in ("config", "work", "logs")]
        done = subprocess.run(
            [certbot, *words, "--non-interactive", *folders, "--server", self.directory],
            capture_output=True,
            check=False,
            env=os.environ | {"REQUESTS_CA_BUNDLE": str(self.authority)},
            text=True,
            timeout=CERTBOT_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def hook(self, tls: Path, reload: str) -> Path:
        """The hook of ``deploy/`` for certificates in ``tls``, of whoever runs the tests."""
        text = (DEPLOY / "certbot-deploy-hook").read_text()
        for old, new in (
            ("-o authsite -g authsite", ""),
            ("/etc/authsite/tls", str(tls)),
            ("systemctl reload nginx", reload),
        ):
            assert old in text
            text = text.replace(old, new)
        hook = self._folder / "hook"
        hook.write_text(text)
        hook.chmod(0o700)
        return hook

    def _at(self, name: str) -> str:
        return f"127.0.0.1:{self._ports[name]}"

    def _start(self, name: str, command: list[str | Path]) -> None:
        # Waits between its steps would show nothing here.
        env = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        process = Process(command, self._folder / f"{name}.log", env=env)
        self._processes.append(process)
        probe = "control" if name == "names" else name
        process.wait_until(lambda: listening(self._ports[probe]), name)
