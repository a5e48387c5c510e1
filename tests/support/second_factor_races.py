"""Steps of races over second factors."""

from tests.support.nodes import AT_ONCE, Nodes
from tests.support.races import browsers, confirmed, sign_in
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
)
from tests.support.site import Client, together


def enrolled(nodes: Nodes, name: str) -> tuple[Client, str, list[str]]:
    """Sign up and enrol; return the browser, the seed and the recovery codes."""
    browser = confirmed(nodes, name)
    seed = seed_on(browser.get(SETUP).text)
    assert browser.post(SETUP, {"code": code_of(seed)}).status == 302
    return browser, seed, recovery_codes_on(browser.get(RECOVERY_CODES).text)


def after_password(
    nodes: Nodes, name: str, n: int = AT_ONCE, page: str = CHALLENGE
) -> tuple[list[Client], list[str]]:
    """Return browsers that have typed the password, on each node in turn, and CSRF tokens."""
    new, tokens = browsers(nodes, n)
    answers = together(n, lambda i: sign_in(new[i], name, tokens[i]))
    assert {answer.location for answer in answers} == {page}
    return new, [browser.csrf(page) for browser in new]
