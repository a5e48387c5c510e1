"""A build backend for argon2-cffi-bindings (PEP 517) that compiles for processors with AVX2."""

import subprocess
import sysconfig
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

ARGON2 = Path("extras/libargon2")
PARTS = ("argon2", "blake2/blake2b", "core", "encoding", "opt", "thread")
TAG = f"cp310-abi3-{sysconfig.get_platform().replace('-', '_')}"
WHEEL = f"Wheel-Version: 1.0\nGenerator: authsite\nRoot-Is-Purelib: false\nTag: {TAG}\n"


def build_wheel(wheel_directory: str, *_unused: object) -> str:
    """Compile the source in the current folder, and return the name of the wheel."""
    source, metadata = Path("src/_argon2_cffi_bindings"), Path("PKG-INFO").read_text()
    headers = f"-I{ARGON2 / 'include'}", f"-I{sysconfig.get_path('include')}"
    files = source / "_ffi.c", *(ARGON2 / f"src/{part}.c" for part in PARTS)
    library = source / "_ffi.abi3.so"
    options = "-O3", "-march=x86-64-v3", "-pthread", "-fPIC", "-shared"
    command = ["cc", *options, *headers, *files, "-o", library]
    subprocess.run(command, check=True)
    name = f"argon2_cffi_bindings-{message_from_string(metadata)['Version']}"
    with ZipFile(Path(wheel_directory, f"{name}-{TAG}.whl"), "w") as wheel:
        for file in source / "__init__.py", library:
            wheel.write(file, f"{source.name}/{file.name}")
        for part, text in ("METADATA", metadata), ("WHEEL", WHEEL), ("RECORD", ""):
            wheel.writestr(f"{name}.dist-info/{part}", text)
    return f"{name}-{TAG}.whl"
