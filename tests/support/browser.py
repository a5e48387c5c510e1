"""Fixtures for tests in Chromium. A test fails if one of its pages reports a problem.

``open_page`` opens pages, and ``page`` is a page at the module's ``site``. Problems are warnings
and errors in the console, uncaught exceptions, violations of the Content Security Policy and
failed requests. A test names the error statuses that it expects:
``page = open_page(site, expect=(404,))``.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.missing import find, missing
from tests.support.process import slack
from tests.support.site import Site

TIMEOUT_MS = 90_000
SETTLE_MS = 50
# The engine without a window takes little more than half the time.
WITH_WINDOW = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NAMES = ("chromium-headless-shell", *WITH_WINDOW)
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    # Tests must not reach another machine: such a request fails, and so does its test.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, "
    "EXCLUDE 127.0.0.1",
)
MOBILE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}

type OpenPage = Callable[..., Page]

# The console shows violations too, but does not name the directive of one that is only reported.
_LISTEN = """
document.addEventListener("securitypolicyviolation", event => reportViolation(
    `${event.violatedDirective} blocks ${event.blockedURI} ` +
    `at ${event.sourceFile}:${event.lineNumber}`
));
"""
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d{3})")
# At most one program runs, since Playwright cannot be started twice in a thread.
_running: dict[Path, Browser] = {}
_processes = ExitStack()
_WATCHES = pytest.StashKey[list["Watch"]]()


class Watch:
    """Collects the problems of one page."""

    def __init__(self, page: Page, expect: tuple[int, ...]) -> None:
        self.problems: list[str] = []
        self._expect = expect
        self._page = page
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self._note("uncaught", error.message))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))
        page.on("crash", lambda _: self._note("crash", page.url))
        page.expose_function("reportViolation", lambda text: self._note("policy", text))
        page.add_init_script(_LISTEN)

    def settle(self) -> None:
        """Wait for events that Playwright has not delivered yet."""
        if not self._page.is_closed():
            self._page.wait_for_timeout(SETTLE_MS)

    def _note(self, kind: str, text: str) -> None:
        self.problems.append(f"{kind}: {text}")

    def _console(self, kind: str, text: str) -> None:
        status = _STATUS.match(text)
        expected = status is not None and int(status[1]) in self._expect
        if kind in {"warning", "error", "assert"} and not expected:
            self._note(kind, text)

    def _failed(self, url: str, reason: str | None) -> None:
        # A request is aborted when the test itself goes on to the next page.
        if reason != "net::ERR_ABORTED":
            self._note("request", f"{url} {reason}")


@pytest.fixture
def chromium(request: pytest.FixtureRequest) -> Browser:
    """Return Chromium, which goes on running as long as one test after the other uses it.

    A module's ``BROWSERS`` names the programs that it accepts.
    """
    program = find(*getattr(request.module, "BROWSERS", NAMES)) or missing("Chromium")
    if program not in _running or not _running[program].is_connected():
        _processes.close()
        _running[program] = _started(program)
    return _running[program]


def _started(program: Path) -> Browser:
    expect.set_options(timeout=TIMEOUT_MS * slack())
    _processes.callback(_running.clear)
    playwright = _processes.enter_context(sync_playwright())
    browser = playwright.chromium.launch(
        executable_path=program,
        args=list(ARGUMENTS),
        chromium_sandbox=False,  # it does not run as root, and CI does
        # The back button uses this cache, unless a page forbids storing it.
        ignore_default_args=["--disable-back-forward-cache"],
    )
    _processes.callback(browser.close)
    return browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Stop Chromium before a test that does not use it.

    While the event loop of Playwright runs, Django refuses database access in its thread.
    """
    try:
        return (yield)
    finally:
        if "chromium" not in getattr(nextitem, "fixturenames", ()):
            _processes.close()


@pytest.fixture
def open_page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[OpenPage]:
    """Return a function that opens a page with cookies of its own.

    ``open_page(site, expect=(404,), **options)`` takes Playwright's options for a context, for
    example ``java_script_enabled=False``, ``color_scheme="dark"`` or ``**MOBILE``.
    """
    contexts = []
    watches = request.node.stash.setdefault(_WATCHES, [])

    def open_(site: Site, *, expect: tuple[int, ...] = (), **options: Any) -> Page:
        context = chromium.new_context(base_url=site.origin, **options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS * slack())
        page = context.new_page()
        watches.append(Watch(page, expect))
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage, site: Site) -> Page:
    """Open a page at the module's site, without cookies."""
    return open_page(site)


@pytest.fixture
def no_js_page(open_page: OpenPage, site: Site) -> Page:
    return open_page(site, java_script_enabled=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail a test, and not only its teardown, if its pages have reported problems."""
    result = yield
    watches = pyfuncitem.stash.get(_WATCHES, [])
    for watch in watches:
        watch.settle()
    problems = [problem for watch in watches for problem in watch.problems]
    if problems:
        pytest.fail("The browser reported:\n" + "\n".join(problems), pytrace=False)
    return result


def axe(page: Page, *rules: str, part: str = ":root") -> list[str]:
    """Return a line for each accessibility problem that axe-core finds in a part of a page.

    ``part``: a CSS selector; by default the whole page. All rules apply unless some are named. They
    include the size of targets (WCAG 2.5.8), which axe leaves out by default. The page must run
    scripts. The debugger evaluates axe, so that neither the Content Security Policy nor Trusted
    Types block it.
    """
    session = page.context.new_cdp_session(page)

    def evaluate(expression: str) -> Any:
        found = session.send(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True},
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    try:
        # Timers do not run on a page without scripts, so axe would never answer.
        assert not evaluate("matchMedia('(scripting: none)').matches"), "axe needs scripts"
        if not evaluate("'axe' in window"):
            evaluate(f"{axe_source()}; undefined")
        which = {"runOnly": list(rules)} if rules else {"rules": {"target-size": {"enabled": True}}}
        # The frame of an email runs no scripts, so axe would wait for its answer in vain.
        options = {"resultTypes": ["violations"], "iframes": False, **which}
        arguments = f"{json.dumps(part)}, {json.dumps(options)}"
        violations = evaluate(f"axe.run({arguments}).then(r => r.violations)")
    finally:
        session.detach()
    return [
        f"{violation['id']} ({violation['impact']}): {node['html']}"
        for violation in violations
        for node in violation["nodes"]
    ]


@functools.cache
def axe_source() -> str:
    """Return the script of axe-core."""
    file = importlib.resources.files("axe_playwright_python") / "axe.min.js"
    return Path(str(file)).read_text(encoding="utf-8")
