"""The settings in ``docs/other-apps.md``. ``tests/clients`` runs the apps that can be had here."""

import json
import re
import shlex
import tomllib
from configparser import ConfigParser
from urllib.parse import urlsplit

from accounts.oauth.clients.models import Client
from tests.support.apps import add, document
from tests.support.docs_examples import blocks_of
from tests.support.env import ROOT

READERS = {"json": json.loads, "toml": tomllib.loads, "ini": ConfigParser().read_string}
LANGUAGES = ["sh", "js", "python", "csharp", "yaml", "ruby", "php", "console", *READERS]


def test_the_settings_of_other_apps_have_urls_of_the_site_and_of_the_registered_app(db):
    paths = {urlsplit(url).path for url in document().values() if str(url).startswith("http")}
    paths |= {"", "/.well-known/openid-configuration"}

    for block in blocks_of("other-apps.md", *LANGUAGES):
        if block.language == "sh":
            registered = add(*shlex.split(block.lines)[3:])
            app = Client.objects.get(pk=registered["client_id"])
            continue
        READERS.get(block.language, str)(block.lines)
        assert {*re.findall(r"https://accounts\.example\.org([\w./-]*)", block.lines)} <= paths
        ways_back = {*re.findall(r"https://shop\.example\.org/[\w./-]*", block.lines)}
        assert ways_back <= {*app.redirect_uris, *app.logout_uris}


def test_the_page_says_which_settings_no_test_runs():
    sections = (ROOT / "docs/other-apps.md").read_text().split("\n## ")[1:]
    for section in sections:
        is_run = "```python" in section or "```js\n" in section
        assert is_run != ("\nNot run." in section), section
        assert section.count("```sh\n") == 1
