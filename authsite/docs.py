"""``python -m authsite.docs``: generate the reference pages in ``docs/`` from the code.

``ACTS`` is what people do on pages, and the API call for each. A test fails if a page that takes
POST requests, or a button with a name, is missing there.
"""

import os
import re
from dataclasses import dataclass, fields
from importlib import import_module
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import django
from django.utils import translation

from accounts.activity.events import EVENTS, GROUPS
from accounts.common import personal_data
from accounts.common.config import Config
from accounts.common.setting_parsers import fernet_keys, hosts, networks, origins, words
from accounts.throttle import limits
from accounts.throttle.limits import Limit

DURING = "During a sign-in, `POST token/enrolment/`."
BROWSER = "Browsers make such passkeys on pages of the site, without asking."
NATIVE = (
    "Apps open `/oauth/authorize` in the system browser, with PKCE and a loopback or claimed URL. "
    "The sign-in page there has the providers."
)
OPENS = "Its `url` is the page to open in a browser: only there does the person see the provider."
RECOVERY = "`second_factor_required` has the `url` of the sign-in page, which leads there."
LOCKING = "`GET factors/` has the `lock_url` of the page, which says what a lock does."
REVIEW = "`GET factors/` has the `review_url` of the page if something waits there."
PROVIDER = "The page at a provider sends browsers back here."
# The reason why apps cannot make these calls: the app would agree instead of the person.
CONSENT = "Only the person agrees to an app, on a page of this site that no app controls."
SAME_EMAIL = "The same email contains the code."
TERMS = "With the member `terms`, as every call that signs up or in."
EVENT = "`GET activity/` names the session of each event."
KEEPING = "The error `deletion_requested` of a sign-in has the `url` of the page."
SHOWN = "The page shows it only to its own script."
OWNER = "Once in the life of a site, by the person who has started it."
LINK = "The link opens in any browser, without a sign-in. The emails contain its URL."

APP, PASSKEY = "accounts/2fa/totp/<int:factor_id>/", "accounts/2fa/passkeys/<int:factor_id>/"
CODES = "accounts/2fa/recovery-codes/"

IN_STEPS = "Over the API, confirm the new address, make it primary, and remove the former one."


@dataclass(frozen=True)
class Act:
    """What a person does by sending a form.

    ``page``: the route of the page.
    ``does``: what the person does.
    ``call``: the method and route of the API call; empty if there is none.
    ``reason``: why there is no call, or what is different.
    ``button``: the name of the button, if the page has several.
    """

    page: str
    does: str
    call: str = ""
    reason: str = ""
    button: str = ""


ACTS = (
    # Signing up.
    Act("accounts/signup/", "Sign up with a password", "POST users/"),
    Act("accounts/signup/", "Sign up with a passkey", "POST users/", button="passkey"),
    Act("accounts/confirm-email/", "Confirm the email address by code", "POST email/verify/"),
    Act("accounts/confirm-email/", "Get another code", "POST email/resend/", button="resend"),
    Act("accounts/confirm-email/", "Correct the address", "POST email/correct/", button="correct"),
    Act("accounts/confirm-email/<str:key>/", "Confirm by link", "POST email/verify/", SAME_EMAIL),
    Act("accounts/invitation/<str:key>/", "Sign up by invitation", "POST invitation/accept/"),
    # Signing in and out.
    Act("accounts/login/", "Sign in with a password", "POST token/"),
    Act("accounts/login/code/", "Get a code by email", "POST login/code/", button="ask"),
    Act("accounts/login/code/", "Sign in with the code", "POST login/code/confirm/"),
    Act("accounts/login/passkey/", "Sign in with a passkey", "POST token/"),
    Act("accounts/<provider:provider>/login/", "Sign in with a provider", reason=NATIVE),
    Act("accounts/<provider:provider>/login/", "Connect a provider", "GET providers/", OPENS),
    Act("accounts/<provider:provider>/login/callback/", "Come back", reason=PROVIDER),
    Act("accounts/3rdparty/confirm/", "Connect the provider", reason=PROVIDER, button="connect"),
    Act("accounts/3rdparty/confirm/", "Don’t connect it", reason=PROVIDER, button="cancel"),
    Act("accounts/2fa/challenge/", "Enter a second factor", "POST token/challenge/"),
    Act("accounts/2fa/challenge/", "Get a code", "POST token/challenge/", button="mail"),
    Act("accounts/2fa/challenge/", "Recover without factors", reason=RECOVERY, button="lost"),
    Act("accounts/terms/", "Accept the terms", "POST token/", TERMS, button="terms"),
    Act("accounts/reauthenticate/", "Confirm that it’s you", "POST reauthenticate/"),
    Act("accounts/logout/", "Sign out", "POST token/revoke/"),
    # The profile and its language.
    Act("accounts/profile/", "Save the profile", "PATCH me/"),
    Act("accounts/profile/", "Change the username", "POST me/username/"),
    Act(
        "accounts/profile/picture/",
        "Upload or remove a profile picture",
        reason="Bodies of calls are smaller than pictures.",
    ),
    Act("accounts/language/", "Choose the language", reason="Clients send `Accept-Language`."),
    Act("accounts/undo/", "Undo a change", reason="Clients send the former values."),
    Act("accounts/theme/", "Choose light or dark", reason="It holds for this browser."),
    # Email addresses.
    Act("accounts/email/", "Add an email address", "POST emails/"),
    Act("accounts/email/", "Confirm it by code", "POST emails/<id>/confirm/", button="confirm"),
    Act("accounts/email/", "Get another code", "POST emails/", button="again"),
    Act("accounts/email/", "Replace the primary one", "POST emails/", IN_STEPS, button="instead"),
    Act("accounts/email/", "Don’t add it", "DELETE emails/<id>/", button="cancel"),
    Act("accounts/email/", "Make one primary", "POST emails/<id>/primary/", button="primary"),
    Act("accounts/email/", "Remove one", "DELETE emails/<id>/", button="remove"),
    Act("accounts/email/confirm/<str:key>/", "Confirm it", "POST emails/<id>/confirm/", SAME_EMAIL),
    # Passwords.
    Act("accounts/password/change/", "Change the password", "POST password/change/"),
    Act("accounts/password/set/", "Set a first password", "POST password/set/"),
    Act("accounts/password/reset/", "Ask for a reset", "POST password/reset/"),
    Act("accounts/password/reset/<str:key>/", "Set a new password", "POST password/reset/confirm/"),
    Act("accounts/password/strength/", "Measure a password", "POST password/strength/"),
    # Second factors.
    Act("accounts/2fa/", "Turn emailed codes on or off", "PATCH factors/", button="emailed_codes"),
    Act("accounts/2fa/", "Stop trusting a browser", "DELETE factors/trusted/<id>/", button="end"),
    Act("accounts/2fa/", "Stop trusting all browsers", "DELETE factors/trusted/", button="all"),
    Act("accounts/2fa/passkeys/", "The same", reason="The same page, below another URL."),
    Act("accounts/2fa/trusted/", "The same", reason="The same page, below another URL."),
    Act("accounts/2fa/emailed-codes/", "Turn emailed codes on or off", "PATCH factors/"),
    Act("accounts/2fa/totp/setup/", "Add an authenticator app", "POST factors/totp/", DURING),
    Act(APP, "Rename an authenticator app", "PATCH factors/totp/<id>/"),
    Act(APP, "Remove it", "DELETE factors/totp/<id>/", button="remove"),
    Act("accounts/2fa/passkeys/add/", "Add a passkey", "POST passkeys/", DURING),
    Act("accounts/2fa/passkeys/offer/", "Add a passkey that the browser has made", reason=BROWSER),
    Act("accounts/2fa/passkeys/offer/", "Hide that offer", reason=BROWSER, button="not_now"),
    Act(PASSKEY, "Rename a passkey", "PATCH passkeys/<id>/"),
    Act(PASSKEY, "Remove it", "DELETE passkeys/<id>/", button="remove"),
    Act(f"{PASSKEY}confirm/", "Use it to confirm", reason=BROWSER),
    Act(CODES, "Make recovery codes", "POST factors/recovery-codes/", button="new"),
    Act(CODES, "Type one back", "POST factors/recovery-codes/saved/"),
    Act(f"{CODES}file/", "Get them as a file", reason="The call that makes them returns them."),
    Act("accounts/2fa/enrol/<str:token>/", "Add a factor by an operator’s link", reason=LINK),
    # Providers and apps.
    Act("accounts/3rdparty/", "Disconnect one", "DELETE providers/<id>/", button="disconnect"),
    Act("accounts/apps/<client_id:client_id>/", "Disconnect an app", "DELETE apps/<client_id>/"),
    Act("oauth/authorize", "Begin to sign in to an app", reason=CONSENT),
    Act("oauth/continue/<str:key>", "Agree to an app", reason=CONSENT, button="act"),
    Act("oauth/device", "Connect a device", reason=CONSENT),
    Act("oauth/logout", "Sign out of an app and of the site", reason=CONSENT),
    # Sessions and API keys.
    Act("accounts/sessions/", "Sign a session out", "DELETE sessions/<id>/", button="end"),
    Act("accounts/sessions/", "Sign out everywhere else", "POST sessions/others/", button="others"),
    Act("accounts/sessions/", "Forget a browser", "DELETE browsers/<id>/", button="forget"),
    Act("accounts/activity/<int:event_id>/", "End the session", "DELETE sessions/<id>/", EVENT),
    Act("accounts/keys/new/", "Create an API key", "POST keys/"),
    Act("accounts/keys/", "Revoke an API key", "DELETE keys/<id>/", button="end"),
    Act("accounts/reference/", "Fill an access token in", "POST token/", SHOWN),
    # Data and deletion.
    Act("accounts/data/", "Ask for all data", "POST me/exports/"),
    Act("accounts/data/", "Download it", "GET me/exports/<id>/", button="download"),
    Act("accounts/delete/", "Delete the account", "DELETE me/"),
    Act("accounts/delete/keep/", "Keep the account", reason=KEEPING),
    Act("accounts/delete/keep/", "Let it be deleted", reason="Needs no call.", button="leave"),
    Act("accounts/delete/undo/<str:token>/", "Keep the account", reason=LINK),
    Act("accounts/email/refuse/<str:token>/", "Remove the address", reason=LINK),
    # Disputes.
    Act("accounts/lockdown/", "Lock the account", reason=LOCKING),
    Act("accounts/lockdown/", "Get a link to lock it", reason=LOCKING, button="send"),
    Act("accounts/lockdown/<str:token>/", "Lock the account", reason=LINK),
    Act("accounts/2fa/recovery/<str:token>/", "Object to a recovery", reason=LINK),
    Act("accounts/review/", "Keep a factor or session", reason=REVIEW, button="keep"),
    Act("accounts/review/", "Delete a factor or session", reason=REVIEW, button="delete"),
    Act("accounts/review/", "Keep a provider", reason=REVIEW, button="keep_identity"),
    Act("accounts/review/", "Delete a provider", reason=REVIEW, button="delete_identity"),
    Act("accounts/review/", "End the review", reason=REVIEW, button="done"),
    # The site.
    Act("accounts/owner/<str:token>/", "Create the first administrator", reason=OWNER),
)


FOLDER = Path(__file__).resolve().parents[1] / "docs"

SETTINGS = """\
# Settings

Generated by `python -m authsite.docs` from `Config` in `accounts/common/config.py` and the classes
from which it inherits.

The site reads the settings from the environment and from the file `.env` beside `manage.py`; the
environment takes precedence. For a setting marked (secret), you can set `NAME_FILE` to the path of
a file with the value instead. In production, the site names the settings that are missing or
unsafe, and refuses to start. It never starts if `.env` has a name that is not a setting, or if the
name of an environment variable is nearly that of a setting.

| setting | meaning | default |
| --- | --- | --- |
"""

EVENT_PAGE = """\
# Events

Generated by `python -m authsite.docs` from `accounts/activity/events.py`.

Each event is a row in the history of an account. The owner sees the history at
`/accounts/activity/` and gets an email about the events marked "yes". Other systems hear of those
with a type: see [webhooks.md](webhooks.md).

| event | group | sentence | email | type |
| --- | --- | --- | --- | --- |
"""

DATA = """\
# Personal data

Generated by `python -m authsite.docs` from `accounts/common/personal_data.py`, and `apps.py` in
`accounts/administration`, `accounts/webhooks`, `accounts/scim` and `accounts/oauth`. A test fails
if a column of the database is missing.

The deletion of an account deletes all its rows in one transaction. Where something remains, the
table says what and why. An export contains the columns with "yes". It leaves out what is *secret*,
because it proves who somebody is; what is *internal*, because it repeats another column or only the
code of this site can use it; and what is *about others*.

"""
NOT_PERSONAL = """\
## Tables without personal data

| table | why |
| --- | --- |
"""

API_ACTS = """\
# Pages and API calls

Generated by `python -m authsite.docs` from `authsite/docs.py`. Everything that people do on
pages, and the [API](api.md) call that does the same. If there is no call, the table says why. What
staff do in the admin is in [administration.md](administration.md).

| page | what people do | call |
| --- | --- | --- |
"""

LIMITS = """\
| limit on | at once | then one every |
| --- | --- | --- |
"""
# Finds the table of limits in ``docs/operating.md``.
LIMITS_TABLE = re.compile(rf"{re.escape(LIMITS)}(\|.*\n)*")
# The descriptions of the parsers of lists in the reference.
SEPARATORS = " A list: separate items by commas or spaces."
LISTS = {fernet_keys, hosts, networks, origins, words}
UNITS = ((24 * 3600, "day", "days"), (3600, "hour", "h"), (60, "minute", "min"))


def settings_page() -> str:
    """Return the text of ``docs/settings.md``."""
    # Python lists the fields of base classes first, but ENVIRONMENT should come first.
    inherited = {field.name for base in Config.__bases__ for field in fields(base)}
    ordered = sorted(fields(Config), key=lambda field: field.name in inherited)
    rows = (
        f"| `{field.name.upper()}`{' (secret)' if field.metadata['secret'] else ''} "
        f"| {field.metadata['means']}{SEPARATORS if field.metadata['read'] in LISTS else ''} "
        f"| {_shown(field.default)} |\n"
        for field in ordered
    )
    return SETTINGS + "".join(rows)


def events_page() -> str:
    """Return the text of ``docs/events.md``."""
    rows = (
        f"| `{event.name}` | {GROUPS[event.group]} | {event.sentence} "
        f"| {'yes' if event.mail else 'no'} | {event.type and f'`{event.type}`'} |\n"
        for event in EVENTS.values()
    )
    return EVENT_PAGE + "".join(rows)


def data_page() -> str:
    """Return the text of ``docs/data.md``."""
    for app in ("administration", "webhooks", "scim", "oauth"):
        import_module(f"accounts.{app}.apps")
    tables = "".join(map(_data_of, personal_data.TABLES.values()))
    reasons = personal_data.NOT_PERSONAL.items()
    return f"{DATA}{tables}{NOT_PERSONAL}" + "".join(f"| `{t}` | {why} |\n" for t, why in reasons)


def _data_of(table: personal_data.Table) -> str:
    rows = "".join(
        f"| {', '.join(f'`{name}`' for name, _column in alike)} "
        f"| {column.purpose} | {column.withheld or 'yes'} |\n"
        for column, alike in groupby(table.columns.items(), key=itemgetter(1))
    )
    remains = f"Deletion: {table.remains}\n\n" if table.remains else ""
    return (
        f"## `{table.label}`\n\n{table.purpose} Kept {table.kept}.\n\n{remains}"
        f"| column | for | export |\n| --- | --- | --- |\n{rows}\n"
    )


def api_acts_page() -> str:
    """Return the text of ``docs/api-acts.md``."""
    return API_ACTS + "".join(map(_row_of, ACTS))


def _row_of(act: Act) -> str:
    call = " ".join(filter(None, [act.call and f"`{act.call}`", act.reason]))
    return f"| `/{re.sub(r'<[a-z_]+:', '<', act.page)}` | {act.does} | {call} |\n"


def limits_table() -> str:
    """Return the table of rate limits in ``docs/operating.md``."""
    rows = (
        f"| {limit.counts} | {limit.burst} | {_interval(limit.per)} |\n"
        for limit in vars(limits).values()
        if isinstance(limit, Limit)
    )
    return LIMITS + "".join(rows)


def _interval(seconds: float) -> str:
    for length, one, many in UNITS:
        if seconds >= length and seconds % length == 0:
            number = int(seconds // length)
            return one if number == 1 else f"{number} {many}"
    return f"{seconds:g} s"


def _shown(default: Any) -> str:
    if default in ("", (), {}, None):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


if __name__ == "__main__":
    # Own apps describe their tables when Django is set up.
    os.environ.setdefault("ENVIRONMENT_DEFAULT", "development")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    django.setup()
    # Without translation, the pages contain the English sentences of the code.
    translation.deactivate_all()
    (FOLDER / "api-acts.md").write_text(api_acts_page())
    (FOLDER / "data.md").write_text(data_page())
    (FOLDER / "events.md").write_text(events_page())
    (FOLDER / "settings.md").write_text(settings_page())
    operating = FOLDER / "operating.md"
    operating.write_text(LIMITS_TABLE.sub(limits_table(), operating.read_text()))
