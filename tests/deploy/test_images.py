"""The images of ``deploy/Dockerfile`` build, and the site and the proxy run in them.

No registry is needed: the base image is a Debian from Debian's mirror, under the name of the
official image. Without a container engine, buildah runs the programs in a chroot, with the network
of this machine. compose's own networks, volumes and secrets are not tested.
"""

import json
import resource
import subprocess
import tarfile
import urllib.request

import pytest

from accounts.common import secrets
from tests.support.kubernetes import containers, pods
from tests.support.missing import find, missing
from tests.support.process import Process, free_port, listening
from tests.support.proxies import NAME, ORIGIN
from tests.support.site import ROOT

pytestmark = [pytest.mark.proof, pytest.mark.alone]

BASE = "docker.io/library/debian:trixie-slim"
BUILD_SECONDS = 900
# Compressed: the image, and the official base image, which is smaller than the one here.
MOST_BYTES, SLIM_BYTES = 200_000_000, 30_000_000
# buildah asks for more files and processes than this machine may allow, and for a registry.
LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
OPTIONS = [
    "--pull=never",
    *("--ulimit={}={}:{}".format(name, *resource.getrlimit(kind)) for name, kind in LIMITS.items()),
]


class Buildah:
    """buildah with a storage of its own."""

    def __init__(self, folder):
        program = find("buildah") or missing("buildah")
        own = [f"--root={folder}/images", f"--runroot={folder}/run", "--storage-driver=vfs"]
        self._command = [str(program), *own]

    def __call__(self, *words):
        command = [*self._command, *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, check=False, cwd=ROOT, text=True, timeout=BUILD_SECONDS
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()

    def image(self, name, archive):
        """Make an image of an archive with a root file system."""
        container = self("from", "scratch")
        self("add", container, archive, "/")
        self("commit", "--rm", container, name)

    def build(self, target, *words):
        """Build a target of the Dockerfile, and return the name of a container of it."""
        options = ["--isolation=chroot", "--file=deploy/Dockerfile"]
        self("build", *options, *OPTIONS, f"--target={target}", f"--tag={target}", *words, ".")
        return self("from", *OPTIONS, f"localhost/{target}")

    def running(self, container, log, *words, **env):
        """Start a program in a container."""
        settings = [f"--env={name}={value}" for name, value in env.items()]
        command = [*self._command, "run", "--isolation=chroot", *settings, container, "--"]
        return Process([*command, *words], log)


def layers(archive):
    """Return the sizes of the compressed layers of an OCI image, the base first."""
    with tarfile.open(archive) as file:

        def read(name):
            return json.load(file.extractfile(name))

        digest = read("index.json")["manifests"][0]["digest"].removeprefix("sha256:")
        return [layer["size"] for layer in read(f"blobs/sha256/{digest}")["layers"]]


def test_the_images_build_and_run(tmp_path, debian):
    buildah = Buildah(tmp_path)
    archive = tmp_path / "debian.tar"
    subprocess.run(["/bin/tar", "-cf", archive, "-C", debian, "."], check=True)
    buildah.image(BASE, archive)
    archive.unlink()
    port = free_port()
    settings = {
        "ORIGIN": ORIGIN,
        "BIND": "127.0.0.1",
        "PORT": str(port),
        "TRUSTED_PROXIES": "127.0.0.1",
        "DATABASE_URL": "sqlite:////var/lib/authsite/db.sqlite3",
        "EMAIL_URL": "smtp+plain://127.0.0.1",
        "MAIL_FROM": "accounts@example.org",
        "SECRET_KEY": secrets.token(48),
        "ENCRYPTION_KEYS": secrets.encryption_key(),
    }

    site = buildah.build("site")
    buildah("push", "localhost/site", f"oci-archive:{tmp_path}/site.tar")
    _base, *own = layers(tmp_path / "site.tar")
    assert sum(own) + SLIM_BYTES <= MOST_BYTES
    found = pods()
    for name in ("authsite-migrate", "authsite", "authsite-prune", "authsite-backup"):
        # Without a command, the container serves the site, as below.
        words = containers(found[name])[0]["command"]
        done = buildah.running(site, tmp_path / "log", *words, **settings)
        assert done.wait() == 0, done.log()
    for words in ("pg_dump", "--version"), ("test", "-d", ".venv/argon2-v3"):
        assert buildah.running(site, tmp_path / "log", *words).wait() == 0
    served = [".venv/bin/python", "-m", "authsite"]
    process = buildah.running(site, tmp_path / "log", *served, **settings)
    try:
        process.wait_until(lambda: listening(port), "the site in its image")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as answer:
            assert answer.status == 200
    finally:
        process.stop()

    proxy = buildah.build("proxy", f"--build-arg=NAME={NAME}")
    checked = ["caddy", "validate", "--config", "/etc/caddy/Caddyfile"]
    process = buildah.running(proxy, tmp_path / "log", *checked)
    assert process.wait() == 0, process.log()
