"""The build of Argon2 that the processor supports."""

import itertools
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from accounts.passwords.hashers import PUBLISHED, V3, V3_FLAGS, load_argon2
from tests.support.env import ROOT, installed
from tests.support.missing import find, missing

CPUINFO = Path("/proc/cpuinfo")
NAME = "_argon2_cffi_bindings"
BUILD_SECONDS = 600
MODERN = " ".join(["fpu", "sse2", *V3_FLAGS])


@pytest.fixture(autouse=True)
def unloaded(monkeypatch):
    """Let the test load Argon2 anew."""
    unload(monkeypatch)


def unload(patch):
    for name in [name for name in sys.modules if name.partition(".")[0] in {"argon2", NAME}]:
        patch.delitem(sys.modules, name)


def hashed():
    """Return hashes of each kind, by the build that is loaded."""
    argon2 = import_module("argon2.low_level")
    return [
        argon2.hash_secret_raw(b"correct horse", b"16 bytes of salt", 2, kib, lanes, 32, kind)
        for kib, lanes, kind in itertools.product((64, 1_000, 19_456), (1, 3), argon2.Type)
    ]


def test_a_build_for_the_processor_makes_the_same_hashes(monkeypatch, tmp_path):
    if not find("cc"):
        missing("A C compiler")

    def build(folder):
        command = [ROOT / "deploy/argon2/build", folder / "v3"]
        if subprocess.run(command, check=False, timeout=BUILD_SECONDS).returncode:
            missing("The source of Argon2")

    folder = installed("argon2", ROOT / "requirements.txt", build) / "v3"
    if load_argon2(folder, CPUINFO) != V3:
        missing("A processor with AVX2")
    fast = hashed()
    unload(monkeypatch)

    assert load_argon2(tmp_path, CPUINFO) == PUBLISHED
    assert hashed() == fast


@pytest.mark.parametrize(
    "flags, release, code",
    [
        (MODERN, "0.1", "raise SystemExit"),
        (MODERN.replace("avx2", "avx"), "", "raise SystemExit"),
        ("", "", "raise SystemExit"),
        (MODERN, "", "raise ImportError"),
    ],
    ids=["of another version", "for newer processors", "for another system", "that is damaged"],
)
def test_a_build_is_not_loaded(flags, release, code, tmp_path):
    release = release or version("argon2-cffi-bindings")
    (tmp_path / f"argon2_cffi_bindings-{release}.dist-info").mkdir()
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "__init__.py").write_text(code)
    cpuinfo = tmp_path / "cpuinfo"
    if flags:
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")

    assert load_argon2(tmp_path, cpuinfo) == PUBLISHED
    assert len(set(hashed())) > 1
