"""What a person does with an authenticator app and recovery codes."""

import base64
import html
import re
from typing import Any

from accounts.common import crypto
from accounts.twofactor.models import SEED_PURPOSE, Authenticator, totp_of
from accounts.twofactor.services import new_seed
from accounts.users.models import User

CHALLENGE = "/accounts/2fa/challenge/"
SETUP = "/accounts/2fa/totp/setup/"
EMAILED_CODES = "/accounts/2fa/emailed-codes/"
RECOVERY_CODES = "/accounts/2fa/recovery-codes/"
# Lets the factors that were added in sessions count, so that staff may act.
STEP_UP = "UPDATE accounts_loginsession SET stepped_up_at = factor_at"


def code_of(seed: str, steps: int = 0) -> str:
    """Return the code that an app with ``seed`` shows now, or some time steps (30 s) later."""
    totp = totp_of(seed)
    totp.drift = steps
    return f"{totp.token():06d}"


def enrolled(user: User, seed: str = "") -> str:
    """Give ``user`` an authenticator, without using the pages, and return its seed."""
    seed = seed or new_seed()
    sealed = crypto.seal(seed, SEED_PURPOSE)
    Authenticator.objects.create(user=user, name="Phone", sealed_seed=sealed)
    return seed


def unused_code(user: User) -> str:
    """Return a code of the newest authenticator of ``user`` that the site accepts now."""
    row = Authenticator.objects.filter(user=user).latest("pk")
    totp = totp_of(row.seed)
    # The previous step's code is refused if the next step begins before the code is posted.
    earliest = -1 if totp.time % totp.step < totp.step - 3 else 0
    return code_of(row.seed, max(earliest, row.last_t + 1 - totp.t()))


def seed_on(page: str) -> str:
    """Return, in hexadecimal, the seed that the enrolment page shows as text."""
    found = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page)
    assert found, page[:500]
    return base64.b32decode(found[1].replace(" ", "")).hex()


def recovery_codes_on(page: str) -> list[str]:
    """Return the recovery codes that a page shows."""
    return re.findall(r"<li>([a-z2-9]{4}-[a-z2-9]{5}-[a-z2-9]{4})</li>", page)


def take_second_step(client: Any, user: User) -> Any:
    """Enter a valid code in a browser that has taken the first step of a sign-in."""
    return client.post(CHALLENGE, {"code": unused_code(user)})


def set_up_authenticator(client: Any, *, name: str = "") -> Any:
    """Add an authenticator by the page, with the first code of the app; return the answer."""
    code = code_of(seed_on(client.get(SETUP).text))
    return client.post(SETUP, {"code": code, "name": name})


def shown_on(page: str) -> str:
    """Return the recovery codes that a page shows, encrypted as its forms send them."""
    found = re.search(r'name="shown" value="([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def confirm_recovery_codes(client: Any, page: str = RECOVERY_CODES) -> Any:
    """Enter one of the shown recovery codes to confirm that they were kept; return the answer."""
    shown = client.get(page)
    return client.post(page, {"code": recovery_codes_on(shown.text)[0], "next": next_on(shown)})


def next_on(page: Any) -> str:
    """Return the ``next`` URL in the hidden field of the page's main form, or an empty string."""
    found = re.search(r'name="next" value="([^"]*)"', page.text.partition("<footer")[0])
    return html.unescape(found[1]) if found else ""
