"""A person's authenticator app, and the codes that it shows."""

import base64
import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accounts.users.models import User

CHALLENGE = "/accounts/2fa/challenge/"
SETUP = "/accounts/2fa/totp/setup/"
RECOVERY_CODES = "/accounts/2fa/recovery-codes/"


def code_of(seed: str, steps: int = 0) -> str:
    """What an app with ``seed`` shows now, or so many steps of 30 seconds later."""
    from accounts.twofactor.models import totp_of

    totp = totp_of(seed)
    totp.drift = steps
    return f"{totp.token():06d}"


def enrolled(user: "User", seed: str = "") -> str:
    """Give ``user`` an authenticator without the pages; its seed."""
    from accounts.common import crypto
    from accounts.twofactor.models import SEED_PURPOSE, Authenticator
    from accounts.twofactor.services import new_seed

    seed = seed or new_seed()
    sealed = crypto.seal(seed, SEED_PURPOSE)
    Authenticator.objects.create(user=user, name="Phone", sealed_seed=sealed)
    return seed


def unused_code(user: "User") -> str:
    """A code of the authenticator of ``user`` that the site would take now."""
    from accounts.twofactor.models import Authenticator, totp_of

    row = Authenticator.objects.filter(user=user).latest("pk")
    totp = totp_of(row.seed)
    # The code of the step before is refused if the next step begins before it is posted.
    earliest = -1 if totp.time % totp.step < totp.step - 3 else 0
    return code_of(row.seed, max(earliest, row.last_t + 1 - totp.t()))


def seed_on(page: str) -> str:
    """The seed, hexadecimal, that the enrolment page shows as text."""
    found = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page)
    assert found, page[:500]
    return base64.b32decode(found[1].replace(" ", "")).hex()


def recovery_codes_on(page: str) -> list[str]:
    """The recovery codes that are shown."""
    return re.findall(r"<li>([a-z2-9]{5}-[a-z2-9]{5})</li>", page)


def take_second_step(client: Any, user: "User") -> Any:
    """Type a good code into the browser that has taken the first step."""
    return client.post(CHALLENGE, {"code": unused_code(user)})


def set_up_authenticator(client: Any, page: str = SETUP, *, name: str = "") -> Any:
    """Add an authenticator as a person does: the key of the page, the first code of the app."""
    code = code_of(seed_on(client.get(page).text))
    return client.post(page, {"code": code, "name": name})


def confirm_recovery_codes(client: Any, page: str = RECOVERY_CODES) -> Any:
    """Show that the recovery codes are kept; where that leads."""
    shown = client.get(page)
    return client.post(page, {"code": recovery_codes_on(shown.text)[0], "next": next_on(shown)})


def next_on(page: Any) -> str:
    """Where the form on the page leads afterwards, by its hidden field."""
    found = re.search(r'name="next" value="([^"]*)"', page.text)
    return html.unescape(found[1]) if found else ""
