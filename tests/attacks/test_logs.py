"""No secret of a user or a program is in the log, the metrics or the database."""

import base64
import json
import re
import socket
from urllib.parse import urlsplit

import brotli
import pytest

from accounts.common import logs
from authsite import telemetry
from authsite.serving.access_log import RequestLog
from tests.support.api import call, renew, second_step
from tests.support.process import run
from tests.support.receiver import Server, say
from tests.support.second_factor import (
    CHALLENGE,
    EMAILED_CODES,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
)
from tests.support.site import ROOT, Client, production, text_of
from tests.support.standards import proves
from tests.support.steps import CODE, CONFIRM, LOGIN, PASSWORD, SIGNUP, address_of, code_in
from tests.support.virtualenvs import environment

TOKEN = "figures-for-the-monitoring-of-this-site"
TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {
    "X-Forwarded-Proto": "https",
    "X-Request-ID": "of-the-proxy",
    # Asks not to be recorded.
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-00",
}
RESET = "/accounts/password/reset/"
LINKS = re.compile(r"(?m)^https?://[^/\s]+(/accounts/\S+)$")


class Browser(Client):
    """A client that records the value of each cookie that it gets."""

    found: set[str]

    def request(self, method, path, **more):
        answer = super().request(method, path, **more)
        # The last method is the name of a button, no secret.
        cookies = {name: c for name, c in answer.cookies.items() if "last-method" not in name}
        self.found |= {morsel.value for morsel in cookies.values()}
        return answer


class Journey:
    """Does everything that users can do at a site, and records the secrets of it."""

    def __init__(self, site):
        self.site = site
        self.secrets = {PASSWORD, TOKEN}

    def browser(self):
        browser = Browser(self.site.origin, connect=("127.0.0.1", self.site.port), headers=HEADERS)
        browser.found = self.secrets
        return browser

    def mail(self, to, subject="", count=1):
        """Return the text of a mail and record its codes and links as secrets."""
        mail = self.site.wait_for_mail(to=f"{to}@", subject=subject, count=count)
        text = text_of(mail)
        codes = re.findall(r"(?m)^[0-9]{4} [0-9]{4}$", text)
        self.secrets |= {written for code in codes for written in (code, code.replace(" ", ""))}
        self.secrets |= {link.rstrip("/").rpartition("/")[2] for link in LINKS.findall(text)}
        return text

    def link(self, text, page):
        (path,) = [link for link in LINKS.findall(text) if page in link]
        self.misuse(path)
        return str(path)

    def misuse(self, path):
        """Request a link in the wrong ways in which mail programs, scanners and users do."""
        odd = (f"{path}?again={path}", f"{path}x/", f"/{path}", f"{path}\\")
        for written in (path.rstrip("/"), *odd):
            self.browser().get(written)
            self.browser().request("PUT", written, headers={"Referer": path, "User-Agent": path})
            self.browser().post(written, {"code": path}, csrf=False)

    def sign_up(self, name, *, by_link=False):
        browser = self.browser()
        fields = {"username": name, "email": address_of(name), "password1": PASSWORD}
        assert browser.post(SIGNUP, fields).status == 302
        text = self.mail(name)
        if by_link:
            assert browser.post(self.link(text, CONFIRM), {}).location == "/"
        else:
            assert browser.post(CONFIRM, {"code": code_in(text)}).location == "/"
        return browser

    def enrol(self, browser):
        seed = seed_on(browser.get(SETUP).text)
        assert browser.post(SETUP, {"code": code_of(seed)}).location == RECOVERY_CODES
        codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
        assert browser.post(RECOVERY_CODES, {"code": codes[0]}).status == 302
        assert browser.post(EMAILED_CODES, {"emailed_codes": "on"}).status == 302
        raw = bytes.fromhex(seed)
        self.secrets |= {seed, base64.b32encode(raw).decode(), *codes}
        self.secrets |= {code.replace("-", "") for code in codes}
        return seed, codes

    def sign_in(self, name, password=PASSWORD, code=""):
        browser = self.browser()
        asked = browser.post(LOGIN, {"login": name, "password": password, "next": "/help/?x=1"})
        assert asked.status == (302 if password == PASSWORD else 200)
        if code:
            assert browser.post(CHALLENGE, {"code": code}).location == "/help/?x=1"
        return browser

    def by_mail(self, name):
        browser = self.browser()
        browser.post(CODE, {"login": name})
        code = code_in(self.mail(name, "to sign in"))
        browser.get(f"{CODE}?code={code.replace(' ', '')}")
        assert browser.post(CODE, {"code": code}).location == "/"

    def reset(self, name):
        browser = self.browser()
        browser.post(RESET, {"login": name})
        path = self.link(self.mail(name, "Set a new password"), RESET)
        answer = browser.post(path, {"password1": PASSWORD})
        assert answer.status == 302, answer.text

    def program(self, name, code):
        """Sign in over the API with both steps, refresh, and misuse each token."""
        asked = call("token/", {"username": name, "password": PASSWORD}, client=self.browser())
        tokens = second_step(asked["challenge"], code, self.browser())
        again = renew(tokens["refresh"], self.browser())
        for token in (tokens["access"], tokens["refresh"], again["access"], again["refresh"]):
            self.secrets |= {token, *token.split(".")[1:]}
            call(f"nothing/{token}/?token={token}", client=self.browser(), token=token)
            call("me/", client=self.browser(), basic=f"{token}:{PASSWORD}")
            call("token/verify/", {"token": token, "code": token}, client=self.browser())
        self.secrets.add(asked["challenge"])
        assert call("me/", client=self.browser(), token=again["access"]).status == 200
        made = call("keys/", {"name": "bot"}, client=self.browser(), token=again["access"])
        self.secrets |= {made["key"], made["key"][25:57]}
        call(f"me/?key={made['key']}", client=self.browser(), token=made["key"])
        assert call("me/", client=self.browser(), token=made["key"]).status == 200
        cookie = {"Origin": self.site.origin, "X-Requested-With": "authsite"}
        page = self.browser()
        page._headers |= cookie
        call("session/", {"username": "bob", "password": PASSWORD}, client=page)

    def lose(self, name):
        """Request the second step by mail and the removal of all second factors."""
        browser = self.sign_in(name)
        browser.post(CHALLENGE, {"mail": "1"})
        self.mail(name, "code to finish")
        browser.post("/accounts/password/reset/", {"login": name})
        link = self.link(self.mail(name, "Set a new password"), "/password/reset/")
        browser.post(link, {"lost": "ask"})
        self.link(self.mail(name, "remove your passkeys and authenticator apps"), "/2fa/recovery/")

    def lock_down(self, name):
        path = self.link(self.mail(name, "new browser"), "/lockdown/")
        assert self.browser().post(path, {}).status == 200

    def own(self):
        made = self.site.manage("create_owner").strip()
        path = urlsplit(made).path
        self.secrets.add(path.rstrip("/").rpartition("/")[2])
        self.misuse(path)
        fields = {"username": "carol", "email": address_of("carol"), "password1": PASSWORD}
        assert self.browser().post(path, {**fields, "password2": PASSWORD}).status == 302

    def everything(self):
        bob = self.sign_up("bob", by_link=True)
        assert bob.get("/").status == 200
        alice = self.sign_up("alice")
        seed, codes = self.enrol(alice)
        self.sign_in("alice", f"{PASSWORD} wrong")
        self.secrets.add(f"{PASSWORD} wrong")
        self.sign_in("alice", code=codes[1])
        self.program("alice", code_of(seed, 1))
        self.by_mail("bob")
        self.lose("alice")
        self.reset("bob")
        self.lock_down("alice")
        self.own()


@proves("V16.2.4", "V16.2.5")
def test_in_production_each_log_line_is_json_without_secrets(tmp_path):
    with production(tmp_path, "https://authsite.example", METRICS_TOKEN=TOKEN) as site:
        journey = Journey(site)
        journey.secrets |= {site.env[name] for name in ("SECRET_KEY", "ENCRYPTION_KEYS")}
        journey.everything()
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        metrics = journey.browser().get("/metrics", headers=bearer)
        log = site.log()
        files = tmp_path.glob("db.sqlite3*")
        dump = b"".join(path.read_bytes() for path in files).decode("latin-1")

    # Values under 8 characters are no secrets.
    secrets = {secret for secret in journey.secrets if len(secret) >= 8}
    assert len(secrets) > 40
    assert metrics.status == 200
    for text in (log, metrics.text, dump):
        assert [secret for secret in secrets if secret in text] == []
    lines = [json.loads(line) for line in log.splitlines()[1:]]
    assert {line["level"] for line in lines} <= {"info", "warning"}
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) > 100
    # The watchdog of the server sends no request through a proxy, and neither does the test while
    # it waits for the start. Either may be first.
    forwarded = [line for line in requests if line["path"] != "/health/live"][1:]
    assert {(line["request_id"], line["trace_id"]) for line in forwarded} == {
        ("of-the-proxy", TRACE)
    }
    assert not any("?" in line["path"] for line in requests)
    assert "/accounts/lockdown/[secret]" in log
    assert "/accounts/owner/[secret]" in log


@proves("V16.4.3")
def test_the_documented_command_sends_each_line_of_the_log_to_another_machine(tmp_path):
    """Withstands a thief with the database: it changes the log of the machine."""
    with production(tmp_path, "https://authsite.example") as site:
        site.client().get("/a" * 1000)
    command = re.search(r"\| (logger [^`]+)`", (ROOT / "docs/operating.md").read_text())
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        here = {"logs.example.org": "127.0.0.1", "601": str(receiver.getsockname()[1])}
        run(*[here.get(word, word) for word in command[1].split()], input=site.log())
        with receiver.accept()[0] as sender, sender.makefile() as received:
            text = received.read()

    assert all(f" {line}" in text for line in site.log().splitlines())
    assert f'"path": "{"/a" * 1000}"' in text


def test_a_site_without_the_packages_runs_and_says_that_they_are_missing(monkeypatch, caplog):
    monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1/1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")

    telemetry.start()

    missing = [record.args[0] for record in caplog.records]
    assert missing == ["OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"]


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "x", TRACE, f"ff-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331"),
        *(f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01"),
        *(f"00-{TRACE.upper()}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-01\n"),
        f"00-{TRACE}-b7ad6b7169203331-01-more",
    ],
)
def test_an_invalid_traceparent_is_not_logged(wrong):
    """Withstands a hostile client."""
    with RequestLog().identify({"HTTP_TRACEPARENT": wrong}):
        assert logs.TRACE_ID.get() == ""


class Collector(Server):
    """Receives traces and errors; ``got`` has the uncompressed bodies by path."""

    def __init__(self):
        super().__init__()
        self.got = {"/v1/traces": b"", "/api/1/envelope/": b""}

    def receive(self, request, body):
        unpack = brotli.decompress if request.headers["Content-Encoding"] == "br" else bytes
        self.got[request.path] += unpack(body.encode(errors="surrogateescape"))
        say(200)(request)


CRASHING = f"{PASSWORD} crash"
CRASH = """
from accounts.passwords.hashers import Argon2id

checked = Argon2id.verify

def verify(self, password, encoded):
    if password.endswith(" crash"):
        raise KeyError(password, encoded)
    return checked(self, password, encoded)

Argon2id.verify = verify
"""


def test_traces_and_errors_have_no_secrets_and_no_email(tmp_path):
    """Withstands a thief with the database."""
    lock = ROOT / "tests/support/telemetry/requirements.txt"
    (packages,) = environment(lock).parent.glob("lib/python*/site-packages")
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    with Collector() as collector:
        url = f"127.0.0.1:{collector.port}"
        env = {
            "PYTHONPATH": f"{tmp_path}:{ROOT}:{packages}",
            "SENTRY_DSN": f"http://key@{url}/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{url}",
        }
        with production(tmp_path, "https://authsite.example", **env) as site:
            journey = Journey(site)
            journey.everything()
            journey.secrets.add(CRASHING)
            alice = {"login": address_of("alice"), "password": CRASHING}
            crashed = journey.browser().post(LOGIN, alice)
            log = site.log()
        traces, errors = collector.got["/v1/traces"], collector.got["/api/1/envelope/"]

    assert crashed.status == 500
    assert "Traceback" in log
    secrets = {secret for secret in journey.secrets if len(secret) >= 8}
    for sent in (traces, errors):
        assert [s for s in (*secrets, "@example.org", "127.0.0.1") if s.encode() in sent] == []
    for shown in (bytes.fromhex(TRACE), b"POST accounts/login/", b"of-the-proxy", b"SELECT"):
        assert shown in traces
    for shown in (b"KeyError", b"verify_password", b"of-the-proxy", TRACE.encode(), b'"logentry"'):
        assert shown in errors
