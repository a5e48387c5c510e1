"""Run apps of others with the settings that ``docs/other-apps.md`` prints."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.clients.apps import APPS, HERE, Shop
from tests.support.virtualenvs import environment

FLASK = HERE / "flask/requirements.txt"
GIVEN = ("client_id", "client_secret")


class OtherApp(Shop):
    """An app that reads the settings in the file ``name``.

    ``pkce``: the words of the settings with which the app uses PKCE. They are removed, so the app
        has nothing but the issuer, the client ID and the secret, and it is registered without PKCE.
    """

    def __init__(self, name: str, folder: Path, site: Any, *, pkce: str = "") -> None:
        self._site, self._pkce = site, pkce
        super().__init__(name, folder, site)

    def _register(self, site: Any) -> dict[str, str]:
        more = ["--no-pkce"] if self._pkce else []
        self._given = dict(json.loads(site.manage(*APPS[self.name][0], *more, "--json")))
        return self._given

    def _program(self) -> str:
        text = super()._program()
        changes = {"https://accounts.example.org": self._site.origin}
        changes |= {f'"{name.upper()}"': f'"{self._given[name]}"' for name in GIVEN}
        if self._pkce:
            changes[self._pkce] = ""
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after)
        return text


class SocialShop(OtherApp):
    """A Django site with python-social-auth."""

    def _py(self) -> list[str | Path]:
        shutil.copy(HERE / "social_site.py", self.folder)
        python = environment(HERE / "requirements.txt") / "python"
        self._run(python, "social_site.py", "migrate", "--verbosity", "0")
        where = f"127.0.0.1:{self.port}"
        return [python, "social_site.py", "runserver", "--noreload", where]


class FlaskShop(OtherApp):
    """A site made by Flask-AppBuilder."""

    def _py(self) -> list[str | Path]:
        shutil.copy(HERE / "fab_site.py", self.folder)
        return [environment(FLASK) / "python", "fab_site.py"]


class PgAdmin(OtherApp):
    """The whole program, with its data in the folder of the test."""

    def _program(self) -> str:
        return f"""{super()._program()}
SERVER_MODE = True
MASTER_PASSWORD_REQUIRED = False
DEFAULT_SERVER_PORT = {self.port}
DATA_DIR = "{self.folder}"
LOG_FILE = "{self.folder}/pgadmin.log"
"""

    def _py(self) -> list[str | Path]:
        self.env["PYTHONPATH"] = str(self.folder)
        self.env["PGADMIN_SETUP_EMAIL"] = "carol@example.org"
        self.env["PGADMIN_SETUP_PASSWORD"] = "a password that nobody uses"
        return [environment(FLASK) / "pgadmin4"]
