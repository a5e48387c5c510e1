"""pebble, a local ACME server that works as Let's Encrypt does."""

import json
import os
import ssl
import urllib.request
from pathlib import Path
from typing import Self

from tests.support.missing import find, missing
from tests.support.process import Process, free_port, listening
from tests.support.proxies import certify


class Pebble:
    """An ACME server that resolves every name to the loopback interface.

    It verifies names at the port ``http``, and at ``https`` with TLS. Its certificates are valid
    for ``seconds``.
    """

    def __init__(self, folder: Path, http: int, https: int, *, seconds: int = 86_400) -> None:
        self._folder = folder
        self._to_verify = {"httpPort": http, "tlsPort": https}
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
            **self._to_verify,
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
        return certify(self._folder / "own", "localhost")

    def root(self) -> Path:
        file = self._folder / "root.pem"
        if not file.exists():
            context = ssl.create_default_context(cafile=self.authority)
            url = f"https://localhost:{self._ports['management']}/roots/0"
            with urllib.request.urlopen(url, context=context, timeout=30) as answer:
                file.write_bytes(answer.read())
        return file

    def _at(self, name: str) -> str:
        return f"127.0.0.1:{self._ports[name]}"

    def _start(self, name: str, command: list[str | Path]) -> None:
        # Random waits between the steps are turned off.
        env = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        process = Process(command, self._folder / f"{name}.log", env=env)
        self._processes.append(process)
        probe = "control" if name == "names" else name
        process.wait_until(lambda: listening(self._ports[probe]), name)
