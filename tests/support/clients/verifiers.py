"""Run the services of ``docs/verify.md`` as the page prints them."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.clients.apps import GO_PACKAGES, HERE, Echo
from tests.support.docs_examples import blocks_of
from tests.support.missing import find, missing
from tests.support.node import node, packages
from tests.support.process import free_port, run, serving
from tests.support.proxies import TEMPORARY
from tests.support.site import ROOT, Client
from tests.support.virtualenvs import environment

BLOCKS = blocks_of("verify.md", "python", "js", "go", "nginx", "sh")
# The blocks that begin with the name of their file.
PROGRAMS = {
    block.lines.split()[1]: block.lines for block in BLOCKS if block.lines.startswith(("# ", "// "))
}
# Prepares a service in a folder, and returns the command that starts it at a port.
type Command = Callable[[Path, int], list[str | Path]]


def write(folder: Path) -> None:
    """Write all programs of the page to a folder."""
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)


def drf(_folder: Path, port: int) -> list[str | Path]:
    python = environment(HERE / "requirements.txt") / "python"
    return [python, "drf_api.py", "runserver", "--noreload", str(port)]


def fastapi(_folder: Path, port: int) -> list[str | Path]:
    programs = environment(HERE / "requirements.txt")
    return [programs / "uvicorn", "fastapi_api:app", "--port", str(port)]


def flask(_folder: Path, port: int, module: str = "flask_api") -> list[str | Path]:
    programs = environment(HERE / "requirements.txt")
    return [programs / "flask", "--app", module, "run", "--port", str(port)]


def express(folder: Path, _port: int) -> list[str | Path]:
    (folder / "node_modules").symlink_to(packages(HERE))
    return [node(), "express_api.mjs"]


def go(folder: Path, _port: int) -> list[str | Path]:
    program = find("go") or missing("Go")
    if not (GO_PACKAGES / "src/github.com/golang-jwt/jwt/v5").exists():
        missing("golang-github-golang-jwt-jwt-v5-dev")
    env = {"GO111MODULE": "off", "GOCACHE": str(ROOT / ".cache/go"), "GOPATH": str(GO_PACKAGES)}
    run(program, "build", "-p", "1", "verify.go", cwd=folder, env=os.environ | env)
    return [folder / "verify"]


def nginx(folder: Path, port: int) -> list[str | Path]:
    """Return the command of nginx, which asks a program at another port: see `service`."""
    return _nginx(folder, f"server {{ listen 127.0.0.1:{port}; include orders.conf; }}")


def njs(folder: Path, port: int) -> list[str | Path]:
    """Return the command of nginx, which verifies tokens itself: see `service`."""
    module = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")
    if not module.exists():
        missing("nginx's module njs")
    _edit(
        folder / "njs.conf",
        {"listen 9000": f"listen 127.0.0.1:{port}", "/var/lib/nginx": str(folder), "conf.d/": ""},
    )
    return _nginx(folder, "include njs.conf;", f"load_module {module};")


def _nginx(folder: Path, http: str, main: str = "") -> list[str | Path]:
    program = find("nginx", also_in=[Path("/usr/sbin")]) or missing("nginx")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in TEMPORARY)
    (folder / "nginx.conf").write_text(f"""
        {main}
        user {getpass.getuser()};
        pid {folder}/nginx.pid;
        daemon off;
        events {{}}
        http {{
            {temporary}
            access_log off;
            {http}
        }}
    """)
    return [program, "-c", folder / "nginx.conf", "-e", folder / "error.log"]


def _edit(file: Path, changes: dict[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, f"{file.name} has no {old}"
        text = text.replace(old, new)
    file.write_text(text)


SERVICES = (drf, fastapi, flask, express, go, nginx, njs)


@contextmanager
def service(how: Command, folder: Path, issuer: str, audience: str) -> Iterator[Client]:
    """Start a service of the page, and give a client for it."""
    write(folder)
    port = free_port()
    env = os.environ | {"AUDIENCE": audience, "GOMAXPROCS": "1", "ISSUER": issuer}
    options: dict[str, Any] = {"cwd": folder, "env": env | {"PORT": str(port)}}
    with ExitStack() as stack:
        if how in (nginx, njs):
            behind = {":9001": f":{stack.enter_context(Echo()).port}"}
        if how is njs:
            _edit(folder / "njs.conf", behind | {"https://accounts.example.org": issuer})
        if how is nginx:
            check = free_port()
            _edit(folder / "orders.conf", behind | {":9000": f":{check}"})
            command = flask(folder, check, "check")
            stack.enter_context(serving(command, folder / "check.log", check, **options))
        stack.enter_context(serving(how(folder, port), folder / "log", port, **options))
        yield Client(f"http://127.0.0.1:{port}")
