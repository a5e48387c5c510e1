"""Thieves, each with what they have stolen: what they gain, and how the owner undoes it.

``docs/threats.md`` has a row for each persona, from ``tests/standards/threats.toml``.
``tests/recovery/test_rule.py`` searches all orders of the acts of recovery; here, a thief tries
everything on all surfaces, in two orders.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from django.test import Client as Browser

from accounts.activity.events import Group
from accounts.activity.models import Activity
from accounts.apikeys.models import APIKey
from accounts.twofactor.models import Passkey
from accounts.users.models import FormerCredential, User
from tests.support.administration import act as act_in_admin
from tests.support.administration import desk
from tests.support.api import get_tokens, second_step
from tests.support.api_keys import key_of
from tests.support.disputes import MINE, NEW, REVIEW, alice
from tests.support.disputes import RESET as RESET_PAGE
from tests.support.personas import (
    ACTS,
    CHANGE,
    ENTERED,
    OFFLINE,
    SESSIONS,
    Holder,
    Kind,
    Scene,
    connect,
    copy_of,
    gains,
    lock_the_account,
    other_session,
    remove_the_owners_email,
    remove_the_owners_factor,
    scene,
    spree,
)
from tests.support.second_factor import RECOVERY_CODES, unused_code
from tests.support.second_steps import trusting_browser
from tests.support.signin import set_up, signed_in
from tests.support.steps import PASSWORD, outbox, path_of
from tests.support.threats import TABLE

pytestmark = pytest.mark.long

THERE = "203.0.113.9"
LATER = "the word after the partner 8"
PLAIN, FACTOR, STAFF = Kind

type Acts = frozenset[str]
ACCESS = frozenset({"read pages", "sign in to an app"})
END = frozenset({"end a session of the owner"})
READS, API = ACCESS | END, END | {"call the API"}
FRESH = API | {
    *("change the profile", "make an API key", "change the password", "sign out everywhere else"),
    *("add an email", "remove the owner's email", "add a factor"),
}
APP = frozenset({"call the API", "keep an app connected"})
LOCKS, REMOVE = frozenset({"lock the account"}), frozenset({"remove the owner's factor"})
WAIT = LOCKS.union(name for name in ACTS if "wait" in name)
RESET = frozenset({"reset the password by email"})
DESK = frozenset({"open a staff page", "act as staff"})
CODES, DELETION = frozenset({"turn on emailed codes"}), frozenset({"ask for the deletion"})
BY_STAFF = frozenset({"act on the owner's account as staff"})
# All that a session with recent authentication is enough for.
ALL = frozenset(ACTS) - WAIT - REMOVE - CODES - DESK - RESET - BY_STAFF - {"call the API"}
# The owner hears nothing of them, whoever does them.
SILENT = END | DESK | {"sign out everywhere else"}


@dataclass(frozen=True)
class Persona:
    """A thief, and the cells of the row in the table.

    ``steals``: returns what the thief holds.
    ``gains``: the acts that succeed in each kind of account; a kind without the thing is left out.
    ``unheard``: the acts of which the owner is not notified.
    ``ends``: what the owner does, beside locking and opening the account, to end it.
    ``remedy``: what is enough in place of a lock, if the thief has changed nothing.
    ``is_brief``: whether the thief goes away before the owner notices, and leaves the thing behind.
    """

    steals: Callable[[Scene], Holder]
    gains: dict[Kind, Acts]
    unheard: Acts = SILENT
    ends: Callable[[Holder], object] = lambda _owner: None
    remedy: Callable[[Holder], object] | None = None
    is_brief: bool = False


def former_mailbox(scene: Scene, days: int = 1) -> Holder:
    move(owner_of(scene))
    scene.clock.advance(days=days)
    scene.session = other_session()
    return Holder(scene, mailboxes=[MINE])


def former_partner(scene: Scene) -> Holder:
    laptop = trusting_browser(alice()) if scene.seed else signed_in(alice())
    assert scene.home.post(CHANGE, {"password1": LATER}).status_code == 302
    scene.passwords, scene.session = [LATER, PASSWORD], other_session()
    scene.clock.advance(days=1)
    return Holder(scene, copy_of(laptop), passwords=[PASSWORD])


def trusted_browser(scene: Scene, **more: list[str]) -> Holder:
    laptop = trusting_browser(alice())
    laptop.cookies.pop("sessionid")
    return Holder(scene, copy_of(laptop, REMOTE_ADDR=THERE), **more)


def cookie(scene: Scene, minutes: int = 0, **more: list[str]) -> Holder:
    scene.clock.advance(minutes=minutes)
    return Holder(scene, copy_of(scene.home, REMOTE_ADDR=THERE), **more)


def laptop(scene: Scene) -> Holder:
    """It is signed in and trusted, and its mail program is open."""
    browser = trusting_browser(alice()) if scene.seed else scene.home
    scene.clock.advance(minutes=30)
    return Holder(scene, copy_of(browser), mailboxes=[MINE])


def refresh_token(scene: Scene) -> Holder:
    answer = get_tokens()
    if scene.seed:
        answer = second_step(answer["challenge"], unused_code(alice()))
    return Holder(scene, refreshes=[answer["refresh"]])


def owner_of(scene: Scene) -> Holder:
    """Return alice, with all that is hers."""
    return Holder(
        scene,
        scene.home,
        passwords=scene.passwords,
        mailboxes=[scene.email],
        seeds=[scene.seed] if scene.seed else [],
        passkeys=[scene.passkey] if scene.passkey else [],
    )


def move(owner: Holder) -> None:
    """Put another email in the place of the one that a thief reads."""
    scene, new = owner.scene, f"alice@{len(outbox())}.example"
    assert owner.enter()
    assert remove_the_owners_email(owner, new)
    owner.mailboxes, scene.email = [new], new


def posts(path: str, **form: str) -> Callable[[Holder], object]:
    """Return a function that lets the owner send a form."""
    return lambda owner: owner.browser.post(path, form)


def remove_the_passkey(owner: Holder) -> None:
    posts(f"/accounts/2fa/passkeys/{Passkey.objects.get(user=alice()).pk}/", remove="1")(owner)


def withdraw_the_right(_owner: Holder) -> None:
    User.objects.filter(username="carol").update(is_staff=False)


def remove_the_key(owner: Holder) -> None:
    posts("/accounts/keys/", end=APIKey.objects.get().pk)(owner)


def disconnect_the_app(owner: Holder) -> None:
    posts(f"/accounts/apps/{owner.scene.app.client.pk}/")(owner)


def connected_app(scene: Scene) -> Holder:
    return Holder(scene, app_refreshes=[connect(owner_of(scene), OFFLINE)["refresh_token"]])


def every(*sets: Acts) -> dict[Kind, Acts]:
    """Return the gains in accounts without a second factor, with one, and of staff."""
    return dict(zip((PLAIN, FACTOR, STAFF)[-len(sets) :], sets, strict=True))


# What a session is enough for that has shown the password and the second factor.
WHOLE = ALL | REMOVE | LOCKS
NONE: Acts = frozenset()
QUIET, SIGN_OUT = SILENT.union(ENTERED), posts(SESSIONS, others="1")
PERSONAS = {
    "password": Persona(
        lambda scene: Holder(scene, passwords=[PASSWORD]), every(ALL | API, NONE, NONE)
    ),
    "mailbox": Persona(
        lambda scene: Holder(scene, mailboxes=[MINE]),
        every(ALL | RESET | WAIT, WAIT, LOCKS),
        ends=move,
    ),
    "former mailbox": Persona(former_mailbox, every(WAIT, WAIT, LOCKS)),
    "mailbox of long ago": Persona(partial(former_mailbox, days=8), every(NONE, NONE, NONE)),
    "former partner": Persona(former_partner, every(NONE, NONE, NONE)),
    "trusted browser": Persona(trusted_browser, every(NONE, NONE)),
    "stale cookie": Persona(
        partial(cookie, minutes=30), every(READS, READS, READS), QUIET, remedy=SIGN_OUT
    ),
    "fresh cookie": Persona(cookie, every(ALL, WHOLE | CODES, (WHOLE | DESK) - DELETION), QUIET),
    "unlocked laptop": Persona(
        laptop, every(ALL | RESET | WAIT, READS | WAIT, READS | LOCKS), QUIET, is_brief=True
    ),
    "phone": Persona(
        lambda scene: Holder(scene, seeds=[scene.seed]),
        every(NONE, NONE),
        ends=remove_the_owners_factor,
    ),
    "one recovery code": Persona(
        lambda scene: Holder(scene, codes=scene.codes[:1]),
        every(NONE, NONE),
        ends=posts(RECOVERY_CODES, new="1"),
    ),
    "API key": Persona(
        lambda scene: Holder(scene, keys=[key_of(alice(), "read write")]),
        every(API, API, API),
        QUIET,
        remedy=remove_the_key,
    ),
    "refresh token": Persona(
        refresh_token,
        every(FRESH | DELETION, FRESH | DELETION | REMOVE | CODES, FRESH | REMOVE),
        QUIET,
        remedy=SIGN_OUT,
    ),
    "provider account": Persona(
        lambda scene: Holder(scene, persons=[scene.op.person]), every(ALL, NONE, NONE)
    ),
    "synced passkey": Persona(
        lambda scene: Holder(scene, passkeys=[scene.passkey]),
        # The account of staff is that of the last superuser, who cannot be deleted.
        every(ALL | API | REMOVE | CODES, (ALL | API | REMOVE | DESK) - DELETION),
        ends=remove_the_passkey,
    ),
    "support staff": Persona(
        lambda scene: Holder(scene, desk("Support")),
        every(DESK | BY_STAFF, DESK | BY_STAFF, DESK),
        ends=withdraw_the_right,
    ),
    "malicious app": Persona(
        connected_app, every(APP, APP, APP), QUIET | APP, remedy=disconnect_the_app
    ),
    "password and stale cookie": Persona(
        partial(cookie, minutes=30, passwords=[PASSWORD]),
        every(ALL | API, READS, READS),
        SILENT | {"read pages"},
    ),
    "mailbox and trusted browser": Persona(
        lambda scene: trusted_browser(scene, mailboxes=[MINE]),
        every(ACCESS | WAIT, ACCESS | LOCKS),
        ends=move,
    ),
}
CASES = [(name, kind) for name, each in PERSONAS.items() for kind in each.gains]

# Who can lock the account does so last, or first. Most orders are proofs, since all take minutes.
ORDERS = [
    pytest.param(name, kind, order, marks=[] if is_quick else [pytest.mark.proof])
    for name, kind in CASES
    for order in ((1, -1) if "lock the account" in PERSONAS[name].gains[kind] else (1,))
    if kind is not STAFF
    for is_quick in [kind is FACTOR and order > 0 and PERSONAS[name].gains[kind]]
]


@pytest.fixture
def make_scene(clock, op, settings):
    """Return a function that makes the account, at a site with a provider and without limits."""
    set_up(settings, limits_scale=1000)
    return lambda kind: scene(clock, op, kind)


def test_the_page_of_threats_has_a_row_for_each_persona():
    assert list(TABLE["persona"]) == list(PERSONAS)


@pytest.mark.parametrize("name, kind", CASES)
def test_a_thief_gains_exactly_what_the_table_says_and_the_owner_hears_of_it(
    make_scene, name, kind
):
    """Withstands a thief in the account: the table of personas."""
    thief = PERSONAS[name].steals(make_scene(kind))

    found = gains(thief)

    assert set(found) == PERSONAS[name].gains[kind]
    unheard = {act for act, is_heard in found.items() if not is_heard}
    assert unheard == set(found) & PERSONAS[name].unheard


@pytest.mark.parametrize("name, kind, order", ORDERS)
def test_the_owner_undoes_everything_and_the_thief_does_not_undo_that(
    make_scene, name, kind, order
):
    """Withstands a thief in the account: the table of personas.

    The thief does all that succeeds, also while the account is locked, and after its opening.
    """
    thief = PERSONAS[name].steals(here := make_scene(kind))
    owner, begun, count = owner_of(here), Activity.objects.latest("pk").pk, len(outbox())
    acts = [act for act in ACTS if "nobody stops" not in act and act not in DELETION][::order]
    # It signs the thief out.
    acts += DELETION
    spree(thief, acts)
    if PERSONAS[name].is_brief:
        thief.browser, thief.mailboxes = Browser(), [m for m in thief.mailboxes if m != MINE]
    here.clock.advance(hours=1)

    lock(owner, begun, count)
    spree(thief, acts)
    open_again(owner)
    PERSONAS[name].ends(owner)

    assert spree(thief, ACTS) == set()
    assert spree(owner, ["change the password"]) == {"change the password"}


@pytest.mark.parametrize("name, kind", [case for case in CASES if PERSONAS[case[0]].remedy])
def test_a_thief_who_has_changed_nothing_is_signed_out_without_a_lock(make_scene, name, kind):
    thief = PERSONAS[name].steals(here := make_scene(kind))
    owner = owner_of(here)
    assert spree(thief, ENTERED)
    assert owner.enter()

    PERSONAS[name].remedy(owner)

    assert spree(thief, ACTS) == set()


def ask_support(owner: Holder) -> None:
    """Show what she has, and let a superuser decide for her."""
    for browser, link in owner.openings():
        browser.post(link, {"lost": "support"})
    act_in_admin(desk("Superuser"), alice(), "decide", target=owner.scene.email)
    link = next(
        m for m in reversed(outbox()) if m.to == owner.scene.email and RESET_PAGE in m.action_url
    )
    assert Browser().post(path_of(link.action_url), {"password1": NEW}).status_code == 302


def lock(owner: Holder, begun: int, count: int) -> None:
    """Lock the account, naming the first change after the event ``begun``.

    Only notices after the first ``count`` mails are used.
    """
    owner.enter()
    rows = Activity.objects.filter(user=alice(), pk__gt=begun).order_by("pk")
    wrong = [row.pk for row in rows if row.event.group is Group.CHANGE and row.event.mail]
    lock_the_account(owner, count, **({"wrong": str(wrong[0])} if wrong else {}))
    assert alice().is_locked_down


def open_again(owner: Holder) -> None:
    """Open the account, by Support if one thing is too few, and delete what was put aside."""
    if not owner.set_password(NEW):
        ask_support(owner)
    owner.passwords = [NEW]
    assert owner.enter()
    for row in FormerCredential.objects.filter(user=alice()):
        is_hers = row.label in owner.mailboxes
        owner.browser.post(REVIEW, {"keep" if is_hers else "delete": str(row.pk)})
    for row in alice().identities.all():
        owner.browser.post(REVIEW, {"delete_identity": str(row.pk)})
    assert owner.browser.post(REVIEW, {"done": "1"}).url == "/"
