"""What others' scanners say of the pages as production serves them."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.support.browser import WITH_WINDOW, OpenPage
from tests.support.client import Client
from tests.support.https import NAME, LocalHttps
from tests.support.missing import find, missing
from tests.support.node import SCANNERS, packages, scan
from tests.support.second import turn_on, type_one_back
from tests.support.site import text_of
from tests.support.steps import CONFIRM, PASSWORD, SIGNUP, address_of, code_in

pytestmark = pytest.mark.proof

# A sign-in stays in the browser that it began in.
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
    "Safari/537.36"
)
# An error status is no page to Lighthouse. The list's filters are Django's, too close for thumbs.
NOT_OURS = {"/nowhere/", "/admin/accounts/user/"}
LEAST_MARK = 135
LEAST_CONTRAST = 3.0
DOCS = "/api/v1/docs/"
ERROR = "/nowhere/"
OPEN = ("/accounts/login/", SIGNUP, "/accounts/password/reset/", DOCS)
ALICES = (
    *("/", "/accounts/sessions/", "/accounts/profile/", "/accounts/2fa/", "/accounts/keys/new/"),
    ERROR,
)
CAROLS = ("/admin/", "/admin/accounts/user/")
OTHERS = (
    "/help/",
    "/elsewhere/",
    "/static/app.css",
    "/api/v1/me/",
    "/health/ready",
    "/admin/login/",
    "//",
)


class People:
    """Alice, who has an account, and carol, who administers: their browsers at one site."""

    def __init__(self, site: LocalHttps) -> None:
        self.site = site
        self.alice, self.carol = (site.client(User_Agent=AGENT) for _ in range(2))
        fields = {"username": "alice", "email": address_of("alice"), "password1": PASSWORD}
        self.alice.post(SIGNUP, fields)
        code = code_in(text_of(site.files.wait_for_mail(to="alice@")))
        assert self.alice.post(CONFIRM, {"code": code}).location == "/"
        assert site.process
        link = re.search(r"https\S+/accounts/owner/\S+", site.process.log())
        assert link
        path = urlsplit(link[0]).path
        owner = {"username": "carol", "email": address_of("carol"), "password1": PASSWORD}
        assert self.carol.post(path, owner).status == 302
        turn_on(self.carol)
        assert type_one_back(self.carol).status == 302
        assert self.carol.get("/admin/").status == 200

    def pages(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Every kind of page, and the cookies of who sees it."""
        for who, paths in ((None, OPEN), (self.alice, ALICES), (self.carol, CAROLS)):
            for path in paths:
                yield path, cookies_of(who) if who else {}


def cookies_of(client: Client) -> dict[str, str]:
    return {name: morsel.coded_value for name, morsel in client.cookies.items()}


def header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    packages(SCANNERS)
    with LocalHttps(tmp_path_factory.mktemp("https")) as site:
        yield People(site)


def test_mozillas_observatory_gives_every_page_its_best_mark(people: People) -> None:
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
    assert {path: page for path, page in found.items() if page["score"] < LEAST_MARK} == {}


def test_csp_evaluator_finds_nothing_high_on_any_kind_of_answer(people: People) -> None:
    policies = {}
    for path, cookies in [*people.pages(), *((path, {}) for path in OTHERS)]:
        answer = people.site.client(User_Agent=AGENT).get(path, headers={"Cookie": header(cookies)})
        policies[path] = answer.headers["Content-Security-Policy"]
    found = scan("csp.mjs", policies)

    assert found.keys() == policies.keys()
    told = {path: findings for path, findings in found.items() if findings}
    assert not [about for page in told.values() for about in page if "HIGH" in about["severity"]]
    # Its own best: a policy that is strict.
    assert scan("csp.mjs", {"bad": "script-src 'unsafe-inline'"})["bad"][0]["severity"] == "HIGH"


def test_lighthouse_finds_nothing_wrong_with_accessibility_and_practices(people: People) -> None:
    question = {
        "chromium": str(find(*WITH_WINDOW) or missing("Chromium")),
        "origin": people.site.origin,
        "agent": AGENT,
        "pages": {path: cookies for path, cookies in people.pages() if path not in NOT_OURS},
    }
    found = scan("lighthouse.mjs", question)

    for path, page in found.items():
        assert (page["error"], urlsplit(page["url"]).path) == ("", path)
    full = {"accessibility": 100, "best-practices": 100}
    assert {path: page for path, page in found.items() if page["scores"] != full} == {}


# The least contrast of each field's border with what is around the field and what is in it.
CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (colour[3] !== 0) throw new Error(`half transparent: ${at.outerHTML}`);
    }
    throw new Error("nothing is opaque");
  };
  const drawn = "input:not([type=hidden],[type=checkbox],[type=radio]), select, textarea";
  return [...document.querySelectorAll(drawn)].filter((field) => field.checkVisibility()).map(
    (field) => {
      const style = getComputedStyle(field);
      const border = channels(style.borderTopColor);
      const around = [behind(field.parentElement), behind(field)];
      const width = parseFloat(style.borderTopWidth);
      return {
        name: field.name || field.id,
        contrast: width >= 1 ? Math.min(...around.map((colour) => contrast(border, colour))) : 0,
      };
    },
  );
}"""


def fields_on(page: Page, people: People, path: str) -> list[dict[str, Any]]:
    page.goto(people.site.origin + path)
    assert urlsplit(page.url).path == path
    return list(page.evaluate(CONTRAST))


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_border_of_every_field_is_seen(people: People, open_page: OpenPage, look: str) -> None:
    stranger, alice = (
        open_page(
            people.site,
            color_scheme=look,
            ignore_https_errors=True,
            user_agent=AGENT,
            expect=(404,),
        )
        for _ in range(2)
    )
    for name, value in cookies_of(people.alice).items():
        url = people.site.origin
        alice.context.add_cookies([{"name": name, "value": value, "url": url, "secure": True}])
    fields = {
        f"{path} {field['name']}": field["contrast"]
        for page, paths in ((stranger, OPEN[:3]), (alice, (*ALICES, "/accounts/email/")))
        for path in paths
        for field in fields_on(page, people, path)
    }

    assert len(fields) > 8
    assert {name: ratio for name, ratio in fields.items() if ratio < LEAST_CONTRAST} == {}
