"""System 6: HTTPS on this machine, as ``make https`` serves it."""

import os
import re
import shlex
import signal
import socket
import ssl

import pytest
from trustme import CA

from authsite.serving.https import NAMES, certify, issue
from authsite.serving.server import check
from tests.support.https import ProductionSite
from tests.support.missing import find, missing
from tests.support.process import free_port, listening, run, within
from tests.support.standards import proves
from tests.support.steps import LOGIN

HSTS = "max-age=31536000; includeSubDomains; preload"
RENEWAL_SECONDS = 30.0


def printed(https, pattern):
    return re.findall(pattern, https.process.log(), re.MULTILINE)[0]


def test_6_1_the_printed_curl_command_and_owner_link_work(https):
    words = shlex.split(printed(https, "^curl --cacert .+$"))
    curl = [find("curl") or missing("curl"), "--silent", "--show-error", "--include", *words[1:]]
    answer = run(*curl, seconds=60)
    link = printed(https, rf"^{https.origin}(/accounts/owner/\S+/)$")

    assert re.match(r"HTTP/\S+ 200", answer)
    assert words[2] == str(https.authority)
    assert https.client().get(link).status == 200
    assert https.client().get("/dev/mail/").status == 404


def test_6_1_the_certificate_verifies_for_each_name_and_for_no_other(https):
    context = ssl.create_default_context(cafile=https.authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT

    def connect(name):
        with socket.create_connection(("127.0.0.1", https.port), 10) as plain:
            context.wrap_socket(plain, server_hostname=name).close()

    for name in ("authsite.localhost", "localhost", "127.0.0.1"):
        connect(name)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect("evil.localhost")


def test_6_1_the_key_of_the_local_authority_is_not_stored(https):
    """Withstands a thief with the database."""
    folder = https.data_dir / "tls"

    assert {file.name for file in folder.iterdir()} == {"ca.pem", "site.pem", "site.key"}
    assert (folder / "site.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_6_1_the_authority_is_kept_until_the_certificate_ends_soon_or_is_damaged(clock, tmp_path):
    def made():
        certify(tmp_path)
        return [(tmp_path / name).read_bytes() for name in ("ca.pem", "site.pem", "site.key")]

    first = made()
    clock.advance(days=769)
    assert made() == first
    clock.advance(days=2)
    renewed = made()
    assert not set(renewed) & set(first)
    for file in ("site.key", "site.pem", "ca.pem"):
        (tmp_path / file).unlink()
        assert made() != renewed


@proves("V12.2.1")
def test_6_2_plain_http_redirects_to_the_same_page_and_sets_no_cookie(https):
    large = b"password=" + 200_000 * b"x"
    for method, path, body in (
        ("GET", f"{LOGIN}?next=/%3Fa%3D1&b=%C3%A9", None),
        ("POST", "/a%2F..//b", large),
        ("BREW", "//evil.example", None),
    ):
        headers = {"Host": "evil.example"}
        answer = https.plain().request(method, path, body=body, headers=headers)

        assert (answer.status, answer.location) == (301, https.origin + path)
        assert answer.cookies == {}
        assert "Strict-Transport-Security" not in answer.headers, (
            "HSTS is for HTTPS only (RFC 6797 section 7.2)"
        )
        assert (answer.headers["Server"], answer.body) == ("web", b"")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_6_2_a_plain_request_without_a_path_is_redirected_to_the_home_page(https):
    for line in ("OPTIONS *", "CONNECT evil.example:80", "GET http://evil.example"):
        with socket.create_connection(("127.0.0.1", https.redirect_port), 10) as connection:
            connection.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = connection.makefile("rb").read().decode()
        assert f"location: {https.origin}/\r\n" in answer, line


@proves("V13.4.3")
def test_6_2_plain_http_serves_acme_challenges_and_no_other_file(https):
    """Withstands a hostile client."""
    folder = https.data_dir / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "t0ken_-").write_text("t0ken_-.thumbprint")
    (folder / "hidden.pem").write_text("secret")
    (https.data_dir / "acme/secret").write_text("secret")
    at, client = "/.well-known/acme-challenge/", https.plain()

    answer = client.get(f"{at}t0ken_-")
    assert (answer.status, answer.body) == (200, b"t0ken_-.thumbprint")
    assert answer.cookies == {}
    assert client.get(f"{at}another").status == 404
    for path in ("../../secret", "..%2F..%2Fsecret", "hidden.pem", "", "t0ken_-/", "t0ken_-%00"):
        refused = client.get(at + path)
        assert (refused.status, refused.location) == (301, f"{https.origin}{at}{path}")


@proves("V3.4.1")
def test_6_3_hsts_lasts_a_year_and_is_never_sent_for_names_shared_with_other_sites(https):
    """Withstands an operator's mistake: HSTS for a developer's other sites."""
    for path in (LOGIN, "/", "/static/app.css", "/no-such-page"):
        answer = https.client().get(path)
        assert answer.headers["Strict-Transport-Security"] == HSTS
        assert all(name.startswith("__Host-") for name in answer.cookies)
    port = f":{https.port}"
    for host in ("localhost", f"LOCALHOST{port}", "localhost.", f"127.0.0.1{port}", f"[::1]{port}"):
        answer = https.client().get(LOGIN, headers={"Host": host})
        assert (answer.status, answer.headers["Strict-Transport-Security"]) == (400, None)


@proves("V11.6.2", "V12.1.1", "V12.1.2", "63B-2.4.1")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_6_3_only_tls_1_2_and_1_3_are_accepted(https):
    """Withstands a hostile client."""
    for version in (v for v in ssl.TLSVersion if v.name.startswith("TLS")):
        context = ssl.create_default_context(cafile=https.authority)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        if version >= ssl.TLSVersion.TLSv1_2:
            https.socket(context).close()
        else:  # the server refuses, not the client
            with pytest.raises(ssl.SSLError, match="ALERT"):
                https.socket(context)


def shown(https):
    with https.socket() as connection:
        return connection.getpeercert(binary_form=True)


def test_6_5_a_signal_loads_a_renewed_certificate_but_not_a_broken_one(https):
    """Withstands an operator's mistake."""
    folder = https.data_dir / "tls"
    first, key = shown(https), (folder / "site.key").read_text()
    trusted = https.authority.read_bytes()

    (folder / "site.key").write_text("cut o")
    os.kill(https.process.pid, signal.SIGHUP)
    assert within(RENEWAL_SECONDS, lambda: "not reloaded" in https.process.log())
    assert shown(https) == first

    (folder / "site.key").write_text(key)
    (folder / "site.pem").unlink()
    certify(folder)
    with https.authority.open("ab") as both:  # the old worker answers a little longer
        both.write(trusted)
    os.kill(https.process.pid, signal.SIGHUP)
    assert within(RENEWAL_SECONDS, lambda: shown(https) != first)
    assert https.client().get(LOGIN).status == 200


def test_a_world_readable_or_mismatched_key_is_refused(tmp_path):
    """Withstands an operator's mistake."""
    for name in ("own", "other"):
        issue(tmp_path / name, CA(), NAMES)
    site, key = (tmp_path / "own" / name for name in ("site.pem", "site.key"))
    check(site, key)

    with pytest.raises(OSError, match="no certificate and its key"):
        check(site, tmp_path / "other/site.key")
    with pytest.raises(OSError, match="can't be read"):
        check(tmp_path / "nothing.pem", key)
    key.chmod(0o644)
    with pytest.raises(OSError, match="may be read by everybody"):
        check(site, key)


@pytest.mark.parametrize("which", ["PORT", "REDIRECT_PORT"])
def test_a_start_on_a_port_in_use_fails_and_names_the_port(which, tmp_path):
    site = ProductionSite(tmp_path, REDIRECT_PORT=str(free_port()))
    site.make_database()
    ports = {name: int(site.env[name]) for name in ("PORT", "REDIRECT_PORT")}
    with socket.create_server(("127.0.0.1", ports[which])):
        process = site.launch()
        assert process.wait() == 1
        assert f"authsite does not start at 127.0.0.1:{ports[which]}:" in process.log()
        assert [*map(listening, ports.values())].count(True) == 1


def test_one_signal_closes_both_ports(https):
    """This test comes last, because it stops the module's site."""
    assert https.process.stop() == 0
    assert not listening(https.port)
    assert not listening(https.redirect_port)
