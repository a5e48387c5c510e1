"""Scanners check the pages and the TLS configuration of ``make https``.

The only finding that is ignored: a local certificate names no URL to check its revocation.
"""

import json
import subprocess
from urllib.parse import urlsplit

import pytest

from tests.support.browser import WITH_WINDOW
from tests.support.browser_steps import administrator, newcomer
from tests.support.https import NAME, LocalHttps
from tests.support.missing import find, missing
from tests.support.node import SCANNERS, packages, scan
from tests.support.proxies import certify
from tests.support.sslyze import assert_intermediate
from tests.support.steps import SIGNUP

pytestmark = [pytest.mark.proof, pytest.mark.alone]

# All requests need one user agent, since a session is bound to its browser.
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
    "Safari/537.36"
)
# Lighthouse does not rate pages with an error status.
NOT_RATED = {"/nowhere/"}
# Five points more are for secure cookies, if a page has cookies.
LEAST_MARK = 130
SECONDS = 900
# Severities of testssl.sh that are accepted.
QUIET = {"DEBUG", "INFO", "OK", "LOW"}
# Findings of testssl.sh about itself and the machine. It may hang up before it gets the session
# ticket, which TLS 1.3 sends after the handshake; it then cannot resume the session.
OWN_PROBLEMS = {
    "engine_problem": "No engine or GOST support",
    "sessionresumption_ticket": "check failed because of connect problem",
}
DOCS = "/api/v1/docs/"
ERROR = "/nowhere/"
OPEN = ("/accounts/login/", SIGNUP, "/accounts/password/reset/", DOCS)
ALICES = tuple(f"/accounts/{page}/" for page in ("sessions", "profile", "2fa", "keys/new"))
ALICES += ("/", ERROR)
CAROLS = ("/admin/", "/admin/accounts/user/")
OTHERS = ("/help/", "/elsewhere/", "/static/app.css", "/api/v1/me/", "/health/ready", "//")
OTHERS += ("/admin/login/",)


class People:
    """The browsers of alice, a member, and carol, an administrator, at one site."""

    def __init__(self, site):
        self.site = site
        self.alice = newcomer(site, "alice", User_Agent=AGENT)
        self.carol = administrator(site, "carol", User_Agent=AGENT)
        assert self.carol.get("/admin/").status == 200

    def pages(self):
        """Yield a path of every kind of page, with the cookies to see it."""
        for who, paths in ((None, OPEN), (self.alice, ALICES), (self.carol, CAROLS)):
            for path in paths:
                yield path, cookies_of(who) if who else {}


def cookies_of(client):
    return {name: morsel.coded_value for name, morsel in client.cookies.items()}


def header(cookies):
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


@pytest.fixture(scope="module")
def people(https):
    packages(SCANNERS)
    return People(https)


def test_mozillas_observatory_gives_every_page_its_best_mark(people):
    site = people.site
    question = {
        "host": NAME,
        "httpPort": site.redirect_port,
        "httpsPort": site.port,
        "agent": AGENT,
        "pages": {path: header(cookies) for path, cookies in people.pages()},
    }
    found = scan("observatory.mjs", question, NODE_EXTRA_CA_CERTS=str(site.authority))

    assert {path: urlsplit(page["url"]).path for path, page in found.items()} == {
        path: path for path, _ in people.pages()
    }
    assert {path for path, page in found.items() if page["status"] != 200} == {ERROR}
    assert all(page["verified"] for page in found.values())
    least = {
        path: LEAST_MARK + 5 * (page["tests"]["cookies"][0] != "cookies-not-found")
        for path, page in found.items()
    }
    assert {path: page for path, page in found.items() if page["score"] < least[path]} == {}


def test_csp_evaluator_finds_nothing_of_high_severity_in_any_answer(people):
    """Withstands a hostile website."""
    policies = {}
    for path, cookies in [*people.pages(), *((path, {}) for path in OTHERS)]:
        answer = people.site.client(User_Agent=AGENT).get(path, headers={"Cookie": header(cookies)})
        policies[path] = answer.headers["Content-Security-Policy"]
    found = scan("csp.mjs", policies)

    assert found.keys() == policies.keys()
    told = {path: findings for path, findings in found.items() if findings}
    assert not [about for page in told.values() for about in page if "HIGH" in about["severity"]]
    # This makes sure that the evaluator reports a bad policy.
    assert scan("csp.mjs", {"bad": "script-src 'unsafe-inline'"})["bad"][0]["severity"] == "HIGH"


def test_lighthouse_gives_full_marks_for_accessibility_and_best_practices(people):
    question = {
        "chromium": str(find(*WITH_WINDOW) or missing("Chromium")),
        "origin": people.site.origin,
        "agent": AGENT,
        "pages": {path: cookies for path, cookies in people.pages() if path not in NOT_RATED},
    }
    found = scan("lighthouse.mjs", question)

    for path, page in found.items():
        assert (page["error"], urlsplit(page["url"]).path) == ("", path)
    full = {"accessibility": 100, "best-practices": 100}
    assert {path: page for path, page in found.items() if page["scores"] != full} == {}


def test_6_4_testssl_rates_the_server_a_plus_and_finds_nothing_above_low(https, tmp_path):
    testssl = find("testssl", "testssl.sh") or missing("testssl.sh")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(testssl, "--quiet", "--color", "0", "--warnings", "batch", "--jsonfile", report),
            *("--add-ca", https.authority, "--ip", "127.0.0.1", f"{https.origin}/accounts/login/"),
        ],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=SECONDS,
    )
    found = {entry["id"]: entry for entry in json.loads(report.read_text())}
    loud = {name: entry for name, entry in found.items() if entry["severity"] not in QUIET}
    own = {n for n, text in OWN_PROBLEMS.items() if n in loud and text in loud[n]["finding"]}

    assert found["overall_grade"]["finding"] == "A+", done.stdout
    assert found["cert_chain_of_trust"]["finding"] == "passed."
    assert loud.keys() - own == {"cert_revocation"}, loud


def test_6_4_sslyze_finds_the_server_compliant_with_mozillas_intermediate(tmp_path):
    """sslyze accepts no certificate with a critical name, which that of ``make https`` has."""
    folder = tmp_path / "tls"
    certify(folder, NAME, days=90)
    made = {"authority.pem": "ca.pem", "fullchain.pem": "site.pem", "privkey.pem": "site.key"}
    for file, name in made.items():
        (folder / file).rename(folder / name)
    with LocalHttps(tmp_path) as site:
        assert_intermediate(NAME, site.authority, site.port)
