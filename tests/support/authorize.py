"""Steps of a browser that an app sends here to sign a person in."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.test import Client as Browser

from accounts.oauth.clients.models import Client
from tests.support.apps import WEB, make_app

AUTHORIZE, PAR = "/oauth/authorize", "/oauth/par"
# The example of RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def query(app: Client, **changes: str | None) -> dict[str, str]:
    """Return the parameters of a valid request of ``app``; a change to None leaves one out."""
    valid = {
        "client_id": app.pk,
        "redirect_uri": WEB,
        "response_type": "code",
        "scope": "openid email",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def address(app: Client, **changes: str | None) -> str:
    """Return the path and query with which the app sends a browser here."""
    return f"{AUTHORIZE}?{urlencode(query(app, **changes))}"


def push(app: Client, **changes: str | None) -> Any:
    """Push a request from the server of a public app."""
    body = urlencode(query(app, **changes))
    return Browser().post(PAR, body, content_type="application/x-www-form-urlencoded")


def begin(browser: Browser, app: Client, **changes: str | None) -> Any:
    """Open the authorization endpoint, and follow the redirect to the page of the request.

    Return the answer of that page, or the answer of the endpoint if it is no such redirect.
    """
    answer = browser.get(address(app, **changes))
    if answer.get("Location", "").startswith("/oauth/continue/"):
        return browser.get(answer["Location"])
    return answer


def page_of_request(answer: Any) -> str:
    """Return the path of the page at which the request continues."""
    return str(answer.wsgi_request.path)


def allow(browser: Browser, page: Any, act: str = "allow") -> Any:
    """Press a button of the consent page ``page``, or of the page to choose an account."""
    session = re.search(r'name="session" value="([^"]+)"', page.text)
    fields = {"act": act} | ({"session": session[1]} if session else {})
    return browser.post(page_of_request(page), fields)


def target(answer: Any) -> str:
    """Return where the answer sends the browser: by a redirect, or by the page that leads back."""
    if "Location" in answer:
        return str(answer["Location"])
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    return found[1].replace("&amp;", "&").replace("&#x27;", "'") if found else ""


def result(answer: Any) -> dict[str, str]:
    """Return the parameters with which the answer sends the browser to an app."""
    return dict(parse_qsl(urlsplit(target(answer)).query))


def posted(answer: Any) -> dict[str, str]:
    """Return the fields that the page ``answer`` posts to an app."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text)
    return {name: unescape(value) for name, value in fields}


def trusted(app: Client) -> Client:
    """Make ``app`` first-party, so that nothing but its requirements stops a code."""
    Client.objects.filter(pk=app.pk).update(is_first_party=True)
    return app


def first_party(**fields: Any) -> Client:
    return make_app("Wiki", is_first_party=True, scope="openid email", **fields)
