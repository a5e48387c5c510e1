"""Runs ``import_users``, and signs in the people that it has imported."""

import io
import json
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.test import Client

from tests.support.foreign_hashes import SIGNER, TYPED
from tests.support.second_factor import CHALLENGE
from tests.support.steps import is_signed_in, sign_in

FILES = Path(__file__).parents[1] / "imports" / "files"
FIREBASE = ("--signer-key=SIGNER", "--salt-separator=Bw==", "--rounds=8", "--mem-cost=14")
# The file of each format, and the words of the command that it needs.
FORMATS = {
    "keycloak": ("keycloak.json", ()),
    "auth0": ("auth0.ndjson", ()),
    "clerk": ("clerk.csv", ()),
    "supabase": ("supabase.csv", ()),
    "firebase": ("firebase.json", FIREBASE),
    "wordpress": ("wordpress.csv", ()),
    "laravel": ("laravel.csv", ("--app-key=APP_KEY",)),
    "rails": ("rails.csv", ("--pepper=PEPPER",)),
    "aspnet": ("aspnet.csv", ()),
    "csv": ("plain.csv", ("--columns=username=login,email=mail",)),
    "django": ("django.json", ()),
}
SECRETS = {
    "SIGNER": SIGNER,
    "PEPPER": "pepper-of-devise",
    "APP_KEY": "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
}
# The secret of the authenticator app in the files, in hexadecimal.
SEED = "48656c6c6f21deadbeef48656c6c6f21deadbeef"


def imported(file: Path | str, name: str, *words: str) -> tuple[dict[str, int], list[Any]]:
    """Run the command; return its result, and the number and the sentence of each note."""
    out = io.StringIO()
    command = ("import_users", str(file), f"--from={name}", "--json", *words)
    call_command(*command, stdout=out, stderr=io.StringIO())
    *notes, result = map(json.loads, out.getvalue().splitlines())
    return result, [(note["number"], note["sentence"]) for note in notes]


def imported_text(folder: Path, text: str | bytes, name: str = "csv", *words: str) -> Any:
    """Run the command with a file that contains ``text``."""
    file = folder / "people"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return imported(file, name, *words)


def signs_in(username: str = "alice", code: str = "", password: str = TYPED) -> bool:
    """Return whether the password, and ``code`` if there is one, sign in."""
    browser = Client()
    answer = sign_in(browser, username, password)
    if code:
        assert answer["Location"] == CHALLENGE
        browser.post(CHALLENGE, {"code": code})
    return is_signed_in(browser)
