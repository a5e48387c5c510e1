"""Checks of the files in ``deploy/`` that need no running server."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from ipaddress import ip_address, ip_network

import pytest
import yaml

from accounts.common.config import Config
from accounts.common.environment import read
from tests.support.config import GOOD
from tests.support.kubernetes import MANIFESTS, containers, pods
from tests.support.missing import find, missing
from tests.support.proxies import DEPLOY, NAME
from tests.support.site import ROOT

UNITS = sorted((DEPLOY / "systemd").glob("*.*"))
SERVICES = ["authsite", "authsite-migrate", "authsite-prune", "authsite-backup"]
# systemd's exposure level, of at most 10; a service without hardening has 9.6.
MOST_EXPOSED = 2.0


def systemd_analyze(*words):
    program = find("systemd-analyze") or missing("systemd-analyze")
    done = subprocess.run([program, *words], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def units(tmp_path):
    """Return a folder with the units as installed, but with this checkout and this user."""
    for unit in UNITS:
        text = unit.read_text().replace("/opt/authsite", str(ROOT)).replace("User=authsite", "")
        services = SERVICES if unit.suffix == ".conf" else []
        for service in services[: 1 if unit.name == "tls.conf" else None]:
            (tmp_path / f"{service}.service.d").mkdir(exist_ok=True)
            (tmp_path / f"{service}.service.d" / unit.name).write_text(text)
        if not services:
            (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_systemd_verifies_every_unit_without_warnings(units):
    assert systemd_analyze("verify", *sorted(units.glob("authsite*.*r"))) == ""


@pytest.mark.parametrize("service", SERVICES)
def test_systemd_services_are_hardened(units, service):
    told = systemd_analyze("security", "--offline=true", "--no-pager", units / f"{service}.service")

    level = re.search(r"exposure level for \S+: ([0-9.]+)", told)
    assert level, told
    assert float(level[1]) <= MOST_EXPOSED


def test_the_environment_file_names_only_known_settings():
    text = (DEPLOY / "authsite.env").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    known = {field.name.upper() for field in fields(Config)}

    assert {name.removesuffix("_FILE") if name not in known else name for name in named} <= known
    assert f"ORIGIN=https://{NAME}\n" in text


@pytest.mark.proof
@pytest.mark.parametrize(
    "package, words",
    [
        ("check-jsonschema", ["--builtin-schema", "vendor.compose-spec"]),
        ("compose-lint", ["--fail-on", "high"]),
    ],
)
def test_linters_accept_the_compose_file(package, words):
    command = [sys.executable, "-m", "uv", "tool", "run", package, *words]
    subprocess.run([*command, DEPLOY / "compose.yaml"], check=True, timeout=600)


@pytest.mark.proof
def test_the_manifests_are_as_the_schemas_of_kubernetes_say(tmp_path):
    files = [tmp_path / f"{number}.json" for number in range(len(MANIFESTS))]
    for file, item in zip(files, MANIFESTS, strict=True):
        file.write_text(json.dumps(item))
    command = [sys.executable, "-m", "uv", "tool", "run", "kubernetes-validate", "--strict"]
    subprocess.run([*command, *files], check=True, timeout=600)


def test_pods_meet_the_pod_security_standard_restricted_and_cannot_write_their_images():
    """Withstands a hostile client: in a container."""
    for name, pod in pods().items():
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 900), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert all("hostPath" not in volume for volume in pod["volumes"])
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }


def test_the_site_accepts_the_settings_of_the_manifests(tmp_path):
    settings = MANIFESTS[0]["data"]
    secret = {name for name in settings if name.endswith("_FILE")}
    plain = {name: value for name, value in settings.items() if name not in secret}

    assert read(GOOD | plain | {"BIND": "0.0.0.0"}, tmp_path).origin == f"https://{NAME}"
    assert {name.removesuffix("_FILE") for name in secret} <= {
        f.name.upper() for f in fields(Config)
    }


def test_the_certbot_hook_installs_only_the_certificate_of_the_site(tmp_path):
    """Withstands an operator's mistake.

    An attacker or an accident must not replace it by that of another site of the machine.
    """
    text = (DEPLOY / "certbot-deploy-hook").read_text()
    for pattern, replacement in {
        "-o authsite -g authsite ": "",
        "/etc/authsite/tls": str(tmp_path),
        "systemctl reload nginx": "echo reloaded",
    }.items():
        assert pattern in text
        text = text.replace(pattern, replacement)
    lineage = tmp_path / "live"
    lineage.mkdir()
    for name in ("fullchain", "privkey"):
        (lineage / f"{name}.pem").write_text("")

    def renew(domains):
        env = {"RENEWED_DOMAINS": domains, "RENEWED_LINEAGE": str(lineage), "PATH": os.defpath}
        done = subprocess.run(["/bin/sh", "-c", text], env=env, check=True, capture_output=True)
        return done.stdout.decode(), (tmp_path / "privkey.pem").exists()

    assert renew(f"shop.example.org not-{NAME} {NAME}.evil.example") == ("", False)
    assert renew(f"www.example.org {NAME}") == ("reloaded\n", True)


def test_the_address_of_the_trusted_proxy_is_given_to_no_other_container():
    """Withstands a hostile client."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (pool,) = compose["networks"]["outside"]["ipam"]["config"]
    proxy = compose["services"]["proxy"]["networks"]["outside"]["ipv4_address"]
    named = compose["services"]["site"]["environment"]["TRUSTED_PROXIES"]

    assert named == proxy
    assert ip_address(proxy) in ip_network(pool["subnet"])
    assert ip_address(proxy) not in ip_network(pool["ip_range"])
