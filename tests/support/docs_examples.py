"""Run the commands in pages of ``docs/`` and compare their output with the documented one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.site import ROOT, Site

END = "--- a block has ended ---"
SECONDS = 300
# Values that differ at each run, in the output and on the page.
VARIABLE = {
    r'"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"': '"<id>"',
    r'"\d{4}-\d\d-\d\dT[\d:.]+Z"': '"<time>"',
    r"\b\d{10}\b": "0",
    r'"jti": "[\w-]+"': '"jti": "<random>"',
    r'"request_id": ?"\w+"': '"request_id": "<id>"',
    r"http://localhost:\d+": "http://localhost",
}


@dataclass(frozen=True)
class Block:
    """A code block of a page, and the output that the page shows for it.

    The output is a sequence of JSON values, or HTTP lines that occur among others. ``printed`` is
    empty if the page shows no output.
    """

    language: str
    lines: str
    kind: str = ""
    printed: str = ""

    def matches(self, output: str) -> bool:
        """Return whether ``output`` is the documented one, apart from values that vary."""
        if self.kind == "http":
            had = {line.strip() for line in _constant(output).splitlines()}
            return all(line in had for line in _constant(self.printed).splitlines())
        return _alike(_values(self.printed), _values(output))


def blocks_of(page: str, *languages: str) -> list[Block]:
    """Return the code blocks of ``docs/<page>`` in some languages, in their order."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"(?ms)^```(\w+)\n(.*?)^```$(?:\s+^```(json|http)\n(.*?)^```$)?", text)
    return [Block(*block) for block in found if block[0] in languages]


class Shell:
    """A bash process that keeps running, so that later blocks see the variables of earlier ones.

    The command ``within`` starts it, if given. It ends after a number of seconds at the latest.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        within: Sequence[str] = (),
        seconds: int = SECONDS,
    ) -> None:
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self._bash = subprocess.Popen(
                ["timeout", str(seconds), *within, "bash", "-euo", "pipefail"],
                cwd=folder,
                env=os.environ | env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._bash.terminate()
        self._bash.communicate()

    def run(self, lines: str) -> str:
        """Run lines and return their output; raise `AssertionError` if one of them fails."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"{lines}\necho; echo '{END}'\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            if line.rstrip("\n") == END:
                return printed
            printed += line
        raise AssertionError(f"{lines}\n{printed}{self._errors.read_text()}")


def run_on_a_node(lines: str, site: Site, folder: Path) -> str:
    """Run commands in a folder that looks like a checkout with the data of the site in ``var``."""
    for name, target in (("var", site.data_dir), ("manage.py", ROOT / "manage.py")):
        if not (folder / name).exists():
            (folder / name).symlink_to(target)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"ENVIRONMENT": "development", "DATA_DIR": str(site.data_dir), "PATH": path}
    with Shell(folder, site.env | own) as shell:
        return shell.run(lines)


def _constant(text: str) -> str:
    for pattern, mark in VARIABLE.items():
        text = re.sub(pattern, mark, text)
    return text


def _values(text: str) -> list[Any]:
    values, rest = [], _constant(text).strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        values.append(value)
        rest = rest[end:].strip()
    return values


def _alike(shown: Any, real: Any) -> bool:
    """Return whether two values are equal; a text that ends in … stands for any longer one."""
    if isinstance(shown, str) and shown.endswith("…"):
        return isinstance(real, str) and len(real) >= len(shown)
    if isinstance(shown, dict):
        same = isinstance(real, dict) and list(shown) == list(real)
        return same and all(_alike(shown[name], real[name]) for name in shown)
    if isinstance(shown, list):
        same = isinstance(real, list) and len(shown) == len(real)
        return same and all(map(_alike, shown, real))
    return bool(shown == real)
