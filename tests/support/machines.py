"""Boot empty Debians with systemd as machines of their own, joined by a network of their own.

A machine is a process with its own namespaces: files, processes, network, host name and control
groups. Everything in it ends when its first process is killed, and so when the tests end. It has
the kernel and the clock of the real machine, and may not change them. Debian's packages come from
the mirror that the real machine uses.
"""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tests.support.docs_examples import Shell
from tests.support.missing import find, missing
from tests.support.process import STOP_SECONDS, Process, run, within
from tests.support.site import ROOT


def make_repository(folder: Path) -> Path:
    """Copy the files of the checkout, uncommitted ones included, and commit them."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, run(*listed, cwd=ROOT).split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The site")
    return folder


def commit(folder: Path, message: str) -> None:
    """Commit everything in the folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")


def git(folder: Path, *words: str) -> None:
    own = ["-c", "user.name=alice", "-c", "user.email=alice@example.org"]
    run("git", "-C", folder, *own, *words)


TARGET = re.compile(rb"(?:CONNECT |[A-Z]+ http://)([^:/ ]+)(?::(\d+))?[/ ]")
SECONDS = 60


class DownloadProxy:
    """Listens on the loopback interface of the namespace in which it is created.

    It connects from the namespace in which it is started.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _address = self._listener.accept()
                threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    """Connect a client to the server that its first request names."""
    head = b""
    with client, suppress(OSError):
        while b"\r\n\r\n" not in head and (part := client.recv(65536)):
            head += part
        if not (target := TARGET.match(head)):
            return
        is_tunnel = head.startswith(b"CONNECT")
        place = target[1].decode(), int(target[2] or 80)
        with socket.create_connection(place, SECONDS) as server:
            if is_tunnel:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                server.sendall(head)
            threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
            _pass_on(server, client)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


RELEASE = "trixie"
PROGRAMS = ("debootstrap", "ip", "nsenter", "setpriv", "unshare")
# What an installed Debian has, and debootstrap's smallest variant lacks.
PACKAGES = "ca-certificates,dbus,openssh-client,openssh-server,systemd-sysv"
# A machine must not change the kernel or the clock.
FORBIDDEN = "-sys_module,-sys_rawio,-sys_time,-syslog,-mac_admin,-audit_control"
DOWNLOAD_SECONDS = 900
# The mirrors of the real machine for pip, if any.
MIRRORS = {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"}
# Which certificate authorities pip trusts when it downloads.
CERTIFICATES = "/etc/outside.pem"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin"
BOOT = """
set -eu
mkdir -p "$CGROUP"
echo $$ > "$CGROUP/cgroup.procs"
exec setpriv --pdeathsig KILL \\
    unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child sh -euc '
    mount --make-rprivate /
    mount --bind "$ROOT" "$ROOT"
    cd "$ROOT"
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    for folder in run dev; do mount -t tmpfs -o mode=755 tmpfs $folder; done
    for device in null zero full random urandom tty; do
        touch dev/$device
        mount --bind /dev/$device dev/$device
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    hostname "$NAME"
    mkdir -p mnt/outside
    pivot_root . mnt/outside  # after chroot, no service could have users of its own
    umount --lazy /mnt/outside
    exec env -i container=proof PATH=/usr/sbin:/usr/bin setpriv --bounding-set "$FORBIDDEN" \\
        /lib/systemd/systemd --show-status=no
'
"""


def empty_debian(folder: Path) -> Path:
    """Return a new root file system in ``folder``; skip the test if the machine cannot make one."""
    if os.geteuid():
        missing("the right to make namespaces, as root has it,")
    for program in PROGRAMS:
        find(program, also_in=[Path("/usr/sbin")]) or missing(program)
    words = ["Identifier: Packages", "Label: Debian", f"Codename: {RELEASE}"]
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *words]
    mirrors = subprocess.run(asked, capture_output=True, check=False, text=True).stdout.split()
    if not mirrors:
        missing(f"a source of Debian's {RELEASE} for apt")
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE]
    root = folder / "debian"
    run(*command, root, mirrors[0], seconds=DOWNLOAD_SECONDS)
    trusted = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if trusted:
        shutil.copy(trusted, root / CERTIFICATES.lstrip("/"))
        (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
    return root


class Machine:
    """A machine with a copy of the root file system ``debian``."""

    def __init__(self, folder: Path, debian: Path, name: str) -> None:
        self.root = folder / name
        self._name = name
        self._cgroup = _cgroups() / f"proof-{os.getpid()}-{name}"
        run("cp", "-a", debian, self.root)
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/hostname", f"{name}\n")

    def __enter__(self) -> Self:
        own = {"ROOT": self.root, "NAME": self._name, "CGROUP": self._cgroup}
        env = os.environ | {name: str(value) for name, value in own.items()}
        log = self.root.parent / f"{self._name}.log"
        self._process = Process(["sh", "-c", BOOT], log, env=env | {"FORBIDDEN": FORBIDDEN})
        self._process.wait_until(self._is_up, self._name)
        self._ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_error: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._process.kill()
        assert within(STOP_SECONDS, self._is_gone), "some processes did not end"

    def _is_gone(self) -> bool:
        """Remove the control groups of the machine, which works once its processes are gone."""
        with suppress(OSError):
            for folder, _folders, _files in os.walk(self._cgroup, topdown=False):
                Path(folder).rmdir()
        return not self._cgroup.exists()

    @property
    def pid(self) -> int:
        """The machine's first process, systemd, as the real machine numbers it."""
        unshare = self._process.pid
        return int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text())

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Append a text to a file of root."""
        file = self.root / path
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with file.open("a") as lines:
            lines.write(text)
        file.chmod(mode)

    def shell(self, seconds: int, **environment: str) -> Shell:
        """Return a shell of root in the machine, with further environment variables."""
        given = {name: text for name, text in os.environ.items() if name in MIRRORS}
        own = {"HOME": "/root", "PATH": f"{SYSTEM_PATH}:{os.defpath}"}
        env = [f"{name}={text}" for name, text in (given | own | environment).items()]
        entered = [*self._enter, "--net", "env", "-i", *env]
        outside = self.root.with_name(f"{self._name}-shell")
        outside.mkdir()
        return Shell(outside, {}, within=entered, seconds=seconds)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Let new sockets and programs of this thread be in the network of the machine."""
        with (
            Path("/proc/thread-self/ns/net").open() as own,
            Path(f"/proc/{self.pid}/ns/net").open() as other,
        ):
            os.setns(other.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(own.fileno(), os.CLONE_NEWNET)

    def join(self, other: "Machine", own: str, others: str) -> None:
        """Connect two machines by a cable, and give them IP addresses in one network."""
        end, far = (["name", "eth0", "netns", str(machine.pid)] for machine in (self, other))
        run("ip", "link", "add", *end, "type", "veth", "peer", *far)
        for machine, ip in ((self, own), (other, others)):
            machine._ip("address", "add", f"{ip}/24", "dev", "eth0")
            machine._ip("link", "set", "eth0", "up")

    @property
    def _enter(self) -> list[str]:
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wdns=/root"]
        return ["nsenter", f"--target={self.pid}", *spaces]

    def _ip(self, *words: str) -> None:
        run("nsenter", f"--target={self.pid}", "--net", "ip", *words)

    def _is_up(self) -> bool:
        try:
            asked = [*self._enter, "systemctl", "is-system-running"]
        except ValueError:  # unshare has not started it yet
            return False
        state = subprocess.run(asked, capture_output=True, check=False, text=True).stdout
        return state.strip() in {"running", "degraded"}


def _cgroups() -> Path:
    """Return where the version of control groups that systemd needs is mounted."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    found = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    return found[0] if found else missing("cgroup2")
