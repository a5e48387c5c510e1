"""Requests of apps whose client ID is the URL of a document."""

from django.test import Client as Browser

from accounts.oauth.models import Client
from tests.support.authorize import address
from tests.support.document_host import REDIRECT, DocumentHost

ASK = {"redirect_uri": REDIRECT}
JSON = {"Content-Type": "application/json"}


def refuses(host: DocumentHost, browser: Browser, **asked: str) -> bool:
    """Return whether the site shows an error page, sends nothing to the app, and stores no app."""
    answer = browser.get(address(host.app, **(ASK | asked)))
    assert answer.status_code < 500
    return answer.status_code == 400 and not Client.objects.exists()
