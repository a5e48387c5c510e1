"""What the database, the logs and the mails have stored."""

import base64
import json

from django.apps import apps

from accounts.sessions.models import BrowserSession
from accounts.sessions.store import SessionStore


def encodings_of_seed(seed: str) -> set[bytes]:
    """Return the encodings in which a seed might be found."""
    raw = bytes.fromhex(seed)
    plain = {base64.b32encode(raw), base64.b64encode(raw), seed.encode(), raw}
    return plain | {text.lower() for text in plain - {raw}} | {seed.upper().encode()}


def everything_stored() -> bytes:
    """Return all rows of all tables and the decoded session data, as text."""
    rows = [str(row) for model in apps.get_models() for row in model._default_manager.values()]
    sessions = [
        json.dumps(SessionStore().decode(row.session_data)) for row in BrowserSession.objects.all()
    ]
    return "\n".join([*rows, *sessions]).encode()
