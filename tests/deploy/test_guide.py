"""The section "From an empty Debian" of ``docs/operating.md``, pasted into two empty Debians.

Nothing that the section names is replaced: apt, systemd, PostgreSQL, Redis, nginx, certbot and ssh
are Debian's. What lies outside the two machines is small and local: a mail server on each, a
certificate authority in place of Let's Encrypt, a line in /etc/hosts in place of DNS, a repository
in a folder. The machines have no internet: apt and pip download through a proxy, and nothing else
can.
"""

import re
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.acme import Pebble
from tests.support.docs_examples import Shell
from tests.support.https import TlsClient
from tests.support.machines import DownloadProxy, Machine, commit, make_repository
from tests.support.process import LATER_SECONDS, within
from tests.support.proxies import NAME, ORIGIN
from tests.support.second_factor import SETUP, code_of, seed_on
from tests.support.site import ROOT
from tests.support.smtp import MailServer
from tests.support.steps import CONFIRM, PASSWORD, code_in, sign_in, sign_up

pytestmark = [pytest.mark.proof, pytest.mark.alone]

FIRST, SECOND = "10.0.0.1", "10.0.0.2"
SECONDS = 2400
# As long as a certificate of Let's Encrypt is valid.
QUARTER = 90 * 86_400
READY = {FIRST: "http://127.0.0.1:8000/health/ready", SECOND: f"http://{SECOND}:8000/health/ready"}
NEAR = f"localhost,127.0.0.1,{FIRST},{SECOND},{NAME}"
# nginx asks a node again after this time.
ALONE_SECONDS = 10
WAIT = "curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused"
REPOSITORY = "/srv/authsite.git"
VALUES = {
    "https://git.example.org/authsite.git": REPOSITORY,
    "smtp://user:password@mail.example.org:587": "smtp+plain://127.0.0.1:25",
}
MIGRATION = "accounts/migrations/9999_newer.py"
NEWER = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "{}")]
"""


def sections():
    """Return for each heading of the guide the address and the lines of each block."""
    page = (ROOT / "docs/operating.md").read_text()
    guide = page.partition("\n## From an empty Debian\n")[2].partition("\n## ")[0]
    found = {}
    for section in guide.split("\n### ")[1:]:
        blocks = re.findall(r"(?ms)^```sh\n# On ([\d.]+)\n(.*?)^```$", section)
        assert len(blocks) == section.count("```") // 2
        found[section.partition("\n")[0]] = blocks
    return found


def with_values(lines):
    for documented, real in VALUES.items():
        lines = lines.replace(documented, real)
    return lines


@dataclass
class Machines:
    """The two machines, each with a shell and a mail server."""

    both: dict[str, Machine]
    shells: dict[str, Shell]
    mails: list[str]
    authority: Path
    guide: dict[str, list[tuple[str, str]]] = field(default_factory=sections)

    def paste(self, heading):
        """Run the blocks of a section in order, and return what they print."""
        printed = ""
        for ip, lines in self.guide.pop(heading):
            printed += self.shells[ip].run(with_values(lines))
        return printed

    def browser(self):
        return TlsClient(ORIGIN, 443, self.authority)

    def check_that_one_node_is_enough(self, browser):
        """Stop one node after the other, and check that the session works on the other."""
        for ip, shell in self.shells.items():
            shell.run("systemctl stop authsite")
            assert {browser.get("/").status for _ in range(9)} == {200}
            shell.run(f"systemctl start authsite; {WAIT} {READY[ip]}; sleep {ALONE_SECONDS}")

    def create_owner(self, printed):
        """Open the link that a command has printed, and set up an authenticator app."""
        (link,) = re.findall(rf"(?m)^{ORIGIN}(/accounts/owner/\S+/)$", printed)
        alice = {"username": "alice", "email": "alice@example.org", "password1": PASSWORD}
        browser = self.browser()
        assert browser.post(link, alice).status == 302
        seed = seed_on(browser.get(SETUP).text)
        assert browser.post(SETUP, {"code": code_of(seed)}).status == 302

    def join(self, name):
        """Sign up in a new browser."""
        browser = self.browser()
        assert sign_up(browser, name).status == 302
        assert within(LATER_SECONDS, lambda: self.mail_to(name))
        assert browser.post(CONFIRM, {"code": code_in(self.mail_to(name))}).location == "/"
        return browser

    def mail_to(self, name):
        """Return the last mail to a user, or an empty string."""
        found = [mail for mail in self.mails if f"\nTo: {name}@" in mail]
        return found[-1].replace("\r\n", "\n") if found else ""


@pytest.fixture
def machines(tmp_path, debian):
    code = make_repository(tmp_path / "code")
    with ExitStack() as running:
        start = running.enter_context
        both = {ip: Machine(tmp_path, debian, ip) for ip in (FIRST, SECOND)}
        mails: list[str] = []
        shells = {}
        for ip, machine in both.items():
            shutil.copytree(code, machine.root / REPOSITORY[1:])
            with start(machine).network():
                start(MailServer(port=25)).mails = mails
                proxy = DownloadProxy()
            outside = {"http_proxy": start(proxy).url, "https_proxy": proxy.url}
            shells[ip] = start(machine.shell(SECONDS, **outside, no_proxy=NEAR))
        both[FIRST].join(both[SECOND], FIRST, SECOND)
        start(both[FIRST].network())
        (tmp_path / "acme").mkdir()
        pebble = start(Pebble(tmp_path / "acme", 80, 443, seconds=QUARTER))
        surroundings(both, shells, pebble)
        yield Machines(both, shells, mails, pebble.root())


def surroundings(both, shells, pebble):
    """Set up what the guide presupposes: DNS, the certificate authority, and the SSH key."""
    first, second = both[FIRST], both[SECOND]
    first.write("etc/hosts", f"127.0.0.1 {NAME}\n")
    for name, file in (("acme", pebble.authority), ("issuer", pebble.root())):
        first.write(f"usr/local/share/ca-certificates/{name}.crt", file.read_text())
    first.write("root/.config/letsencrypt/cli.ini", f"server = {pebble.directory}\n")
    shells[FIRST].run("update-ca-certificates; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
    key = (first.root / "root/.ssh/id_ed25519.pub").read_text()
    host = (second.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    first.write("root/.ssh/known_hosts", f"{SECOND} {host}")
    second.write("root/.ssh/authorized_keys", key, 0o600)


def release(machines):
    """Commit a newer version of the code with a migration, and return the name of the commit."""
    for machine in machines.both.values():
        folder = machine.root / REPOSITORY[1:]
        newest = max((folder / MIGRATION).parent.glob("0*.py"))
        (folder / MIGRATION).write_text(NEWER.format(newest.stem))
        commit(folder, "A newer version")
    return Path(MIGRATION).stem


def test_14_1_the_guide_leads_from_two_empty_debians_to_a_site_and_through_its_life(machines):
    machines.paste("The first node")
    machines.create_owner(machines.paste("The first administrator"))
    assert "Test email" in machines.mails[0]
    machines.paste("Check the site")

    machines.paste("The second node")
    bob = machines.join("bob")
    machines.check_that_one_node_is_enough(bob)

    machines.paste("Back up")
    mallory = machines.join("mallory")
    machines.paste("Restore")
    assert bob.get("/").status == mallory.get("/").status == 302, "every session is revoked"
    assert sign_in(bob, "bob").location == "/"
    assert sign_in(machines.browser(), "mallory").status == 200

    newer = release(machines)
    machines.paste("Upgrade a node")
    assert f"[X] {newer}" in machines.shells[SECOND].run("authsite showmigrations accounts")
    machines.check_that_one_node_is_enough(bob)

    machines.paste("Rotate the keys")
    machines.check_that_one_node_is_enough(bob)
    assert machines.guide == {}
