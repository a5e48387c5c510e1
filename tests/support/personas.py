"""Alice's account, what people hold of it, and everything that a thief may try with that."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from typing import Any

from django.db import transaction
from django.test import Client as Browser

from accounts.activity import notices
from accounts.activity.models import Activity
from accounts.administration import acts as administration
from accounts.mail.message import Message
from accounts.recovery import services as recovery
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import Authenticator
from accounts.users.models import Identity, User
from tests.support import api_factors, api_passkeys
from tests.support.administration import act as act_in_admin
from tests.support.administration import page_of
from tests.support.api import call, renew, second_step
from tests.support.api_keys import FORM, shown_key
from tests.support.authorize import allow, begin, result
from tests.support.disputes import EMAIL, LOCK, MINE, RESET, THIEFS, accept_notices, alice
from tests.support.oauth_client import App, audience, browser_of, new_app
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.passkeys import post_credential
from tests.support.second_factor import CHALLENGE, SETUP, code_of, enrolled, seed_on
from tests.support.second_steps import REAUTHENTICATE, new_recovery_codes
from tests.support.signin import Clock, signed_in
from tests.support.social import ACME, come_back
from tests.support.steps import (
    CODE,
    LOGIN,
    PASSWORD,
    WRONG_CODE,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
)
from tests.support.webauthn import LOGIN_PASSKEY, Passkey, options_on, registered

CHANGE = "/accounts/password/change/"
LOCKED, SESSIONS = "/accounts/password/locked/", "/accounts/sessions/"
# The most that an app may ask for without being able to change something.
READS = "openid profile email profile:read"
OFFLINE = f"{READS} offline_access"
STAFF = "read write admin:read admin:write"


class Kind(StrEnum):
    """The kinds of accounts that are attacked."""

    PLAIN = "without a second factor"
    FACTOR = "with a second factor"
    STAFF = "of staff"


@dataclass
class Scene:
    """Alice's account, which is a year old, and what stands around it.

    ``home`` is the browser in which she has just signed in, and ``session`` the id of another
    session of hers. ``passwords``, newest first, and ``email`` are what she has now.
    """

    clock: Clock
    op: OpenIDProvider
    kind: Kind
    app: App
    bob: User
    home: Browser
    seed: str
    codes: list[str]
    passkey: Passkey | None
    session: str
    passwords: list[str] = field(default_factory=lambda: [PASSWORD])
    email: str = MINE


def scene(clock: Clock, op: OpenIDProvider, kind: Kind) -> Scene:
    """Make the accounts of alice and bob, and an app that mallory has registered."""
    user, bob = make_user("alice"), make_user("bob")
    Identity.objects.create(user=user, issuer=op.issuer, subject=op.person.subject)
    app = new_app("Free coins", scope=OFFLINE, audiences=[audience()])
    # The site makes its signing keys now, outside of what is rolled back.
    app.sign_in(browser_of(bob), OFFLINE)
    seed, codes, passkey = "", [], None
    if kind is not Kind.PLAIN:
        seed, passkey = enrolled(user), registered(user)
        codes = new_recovery_codes(user)
    if kind is Kind.STAFF:
        User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    clock.advance(days=365)
    home = signed_in(alice())
    return Scene(clock, op, kind, app, bob, home, seed, codes, passkey, other_session())


def other_session() -> str:
    """Sign alice in on her tablet; return the id of the session."""
    before = list(LoginSession.objects.values_list("pk", flat=True))
    signed_in(alice())
    return str(LoginSession.objects.exclude(pk__in=before).get().pk)


def copy_of(browser: Browser, **where: Any) -> Browser:
    """Return a browser with the same cookies and user agent."""
    same: dict[str, Any] = browser.defaults | where
    copy = Browser(**same)
    for name, cookie in browser.cookies.items():
        copy.cookies[name] = cookie.value
    return copy


# A browser that alice has never used, in another network.
there = partial(Browser, REMOTE_ADDR="203.0.113.9")


def may_change(browser: Browser) -> bool:
    """Return whether the browser has a session that changes what protects the account."""
    return browser.get(CHANGE).status_code == 200


@dataclass
class Holder:
    """Somebody who holds things of alice's account: a thief, or alice.

    ``mailboxes`` are those that the holder reads. ``tokens`` are what the holder may send to the
    API, and ``heard`` says of which sign-ins alice has heard; :meth:`enter` sets both.
    """

    scene: Scene
    browser: Browser = field(default_factory=there)
    passwords: list[str] = field(default_factory=list)
    mailboxes: list[str] = field(default_factory=list)
    seeds: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    passkeys: list[Passkey] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    refreshes: list[str] = field(default_factory=list)
    app_refreshes: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    heard: dict[str, bool] = field(default_factory=dict)
    _tried: list[object] = field(default_factory=list)

    def copy(self) -> "Holder":
        """Return a holder of the same things, whose acts change nothing here."""
        return replace(self, browser=copy_of(self.browser), **self._held())

    def _held(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name)[:] for each in fields(self)[2:-3]}

    def enter(self) -> bool:
        """Sign in, or authenticate again in the session; return whether that allows changes.

        Nothing is tried again before the account, or what the holder holds, has changed.
        """
        owner = alice()
        state = owner.credential_version, owner.locked_at, str(self._held())
        if self._tried[:1] == [state]:
            return bool(self._tried[1])
        first = len(outbox())
        if not may_change(self.browser) and is_signed_in(self.browser):
            self._show_all(self.browser, REAUTHENTICATE)
        may = may_change(self.browser) or any(map(self._sign_in, self._first_steps()))
        second, email = len(outbox()), self.scene.email
        self.tokens = list(self._tokens())
        mails = outbox()[first:second], outbox()[second:]
        self.heard = dict(zip(ENTERED, [told(each, email) for each in mails], strict=True))
        self._tried = [state, may]
        return may

    def is_in(self, browser: Browser | None = None) -> bool:
        """Return whether the browser has a session of alice."""
        answer = (browser or self.browser).get("/accounts/profile/")
        return answer.status_code == 200 and answer.wsgi_request.user.username == "alice"

    def _first_steps(self) -> list[Callable[[Browser], Any]]:
        return [
            *(partial(self._by_passkey, key=key) for key in self.passkeys),
            *(partial(sign_in, login="alice", password=word) for word in self.passwords),
            *(partial(at_provider, op=self.scene.op, person=each) for each in self.persons),
            *(partial(self._by_code, email=email) for email in self.mailboxes),
        ]

    def _by_passkey(self, browser: Browser, key: Passkey, page: str = LOGIN) -> Any:
        answer = browser.get(page)
        if "data-passkey" not in answer.text:
            return answer
        to = LOGIN_PASSKEY if page == LOGIN else page
        return post_credential(browser, key.get(options_on(answer.text)), to)

    def _by_code(self, browser: Browser, email: str) -> Any:
        browser.post(CODE, {"login": email})
        codes = [mail.code for mail in outbox() if mail.to == email and mail.code]
        return browser.post(CODE, {"code": codes[-1] if codes else WRONG_CODE})

    def _sign_in(self, first_step: Callable[[Browser], Any]) -> bool:
        browser = copy_of(self.browser)
        browser.cookies.pop("sessionid", None)
        if first_step(browser).get("Location") == CHALLENGE:
            self._show_all(browser, CHALLENGE)
        if (may := may_change(browser)) or not self.is_in():
            self.browser = browser
        return may

    def _show_all(self, browser: Browser, page: str) -> None:
        """Show everything to a page that asks for proofs."""
        for word in self.passwords:
            browser.post(page, {"password": word, "former": word})
        for code in self._factor_codes():
            browser.post(page, {"code": code})
        for key in self.passkeys:
            self._by_passkey(browser, key, page)
        for person in self.persons if page == REAUTHENTICATE else []:
            at_provider(browser, self.scene.op, person, "prove")

    def _factor_codes(self) -> list[str]:
        self.scene.clock.advance(seconds=30)
        return [code_of(seed) for seed in self.seeds] + self.codes[:1]

    def _tokens(self) -> Iterator[str]:
        yield from self.keys
        for n, refresh in enumerate(self.refreshes):
            if (answer := renew(refresh)).status == 200:
                self.refreshes[n] = answer["refresh"]
                self._reauthenticate(answer["access"])
                yield answer["access"]
        for n, refresh in enumerate(self.app_refreshes):
            if (app := self.scene.app.refresh(refresh)).status == 200:
                self.app_refreshes[n] = app["refresh_token"]
                yield app["access_token"]
        for word in self.passwords:
            scope = {"scope": STAFF} if self.scene.kind is Kind.STAFF else {}
            answer = call("token/", {"username": "alice", "password": word} | scope)
            if "challenge" in answer.body:
                every = [second_step(answer["challenge"], code) for code in self._factor_codes()]
                answer = next((each for each in every if each.status == 200), answer)
            if answer.status == 200:
                yield answer["access"]
        for key in self.passkeys:
            if (answer := api_passkeys.sign_in(key)).status == 200:
                yield answer["access"]

    def _reauthenticate(self, token: str) -> None:
        shown = [{"password": word} for word in self.passwords]
        for each in [*shown, *({"code": code} for code in self._factor_codes())]:
            call("reauthenticate/", each, token=token)

    def call_with_each_token(self, path: str, data: Any = None, method: str = "") -> None:
        for token in self.tokens:
            call(path, data, method=method, token=token)

    def openings(self) -> Iterator[tuple[Browser, str]]:
        """Yield pages to open the account or to set a new password, with all proofs shown there."""
        for email in self.mailboxes:
            count = len(outbox())
            there().post(RESET, {"login": email})
            links = [m for m in outbox()[count:] if m.to == email and RESET in m.action_url]
            for mail in links:
                self._show_all(browser := there(), link := path_of(mail.action_url))
                yield browser, link
        for step in self._first_steps():
            if step(browser := there()).get("Location") == LOCKED:
                self._show_all(browser, link := browser.get(LOCKED)["Location"])
                yield browser, link

    def set_password(self, password: str, **more: str) -> bool:
        """Set a new password without being signed in; return whether that was possible."""
        before = alice().password
        for browser, link in self.openings():
            browser.post(link, {"password1": password} | more)
            if alice().password != before:
                self.passwords = [*{*self.passwords, password}]
                return True
        return False


# What a thief may try. Each act returns whether it has succeeded.
type Act = Callable[..., bool]
ACTS: dict[str, Act] = {}
OWN = "the thiefs own word 7"
# What a sign-in is enough for.
ENTERED = ("read pages", "call the API")
# The acts of the support desk that leave the account in use.
DESK = [name for name in administration.ACTS if name not in {"deactivate", "reactivate"}]


def act(name: str) -> Callable[[Act], Act]:
    """Add a function to :data:`ACTS`."""
    return lambda function: ACTS.setdefault(name, function)


@act("read pages")
def read_pages(thief: Holder) -> bool:
    return thief.is_in()


@act("call the API")
def call_the_api(thief: Holder) -> bool:
    return any(call("me/", token=token).status == 200 for token in thief.tokens)


@act("sign in to an app")
def sign_in_to_an_app(thief: Holder) -> bool:
    return "access_token" in connect(thief, "openid email")


@act("keep an app connected")
def keep_an_app_connected(thief: Holder) -> bool:
    if any(thief.scene.app.refresh(token).status == 200 for token in thief.app_refreshes):
        return True
    tokens = connect(thief, OFFLINE)
    thief.app_refreshes += [tokens["refresh_token"]] if tokens else []
    return bool(tokens)


def connect(holder: Holder, scope: str) -> dict[str, str]:
    """Sign in to the app, agreeing if it asks; return the tokens that it gets, or none."""
    app, browser = holder.scene.app, holder.browser
    answer = begin(browser, app.client, scope=scope)
    if 'value="allow"' in answer.text:
        answer = allow(browser, answer)
    code = result(answer).get("code")
    return app.redeem(code).body if code and holder.is_in() else {}


@act("change the profile")
def change_the_profile(thief: Holder) -> bool:
    name = f"{alice().display_name}M"
    thief.browser.post("/accounts/profile/", {"display_name": name, "language": "en"})
    thief.call_with_each_token("me/", {"display_name": name}, "PATCH")
    return alice().display_name == name


@act("make an API key")
def make_an_api_key(thief: Holder) -> bool:
    made = [shown_key(thief.browser.post("/accounts/keys/new/", FORM, follow=True))]
    for token in thief.tokens:
        answer = call("keys/", {"name": "bot"}, token=token)
        made += [answer["key"]] if answer.status == 201 else []
    thief.keys += (
        mine := [key for key in made if key and call("me/", token=key)["username"] == "alice"]
    )
    return bool(mine)


@act("add an email")
def add_an_email(holder: Holder, email: str = THIEFS) -> bool:
    browser = holder.browser
    browser.post(EMAIL, {"email": email})
    if found := re.search(r'name="confirm" value="([^"]+)"', browser.get(EMAIL, follow=True).text):
        browser.post(EMAIL, {"confirm": found[1], "code": outbox()[-1].code})
    for token in holder.tokens:
        if (row := call("emails/", {"email": email}, token=token)).status == 201:
            call(f"emails/{row['id']}/confirm/", {"code": outbox()[-1].code}, token=token)
    if is_added := email in emails_of_alice():
        holder.mailboxes.append(email)
    return is_added


@act("remove the owner's email")
def remove_the_owners_email(holder: Holder, email: str = THIEFS) -> bool:
    """Put ``email`` in the place of all others."""
    add_an_email(holder, email)
    rows = emails_of_alice()
    if holder.scene.email not in rows:
        return False
    primary = rows.pop(email, 0)
    holder.browser.post(EMAIL, {"primary": primary})
    holder.call_with_each_token(f"emails/{primary}/primary/", {})
    for row in rows.values():
        holder.browser.post(EMAIL, {"remove": row})
        holder.call_with_each_token(f"emails/{row}/", method="DELETE")
    return holder.scene.email not in emails_of_alice()


def emails_of_alice() -> dict[str, int]:
    """Return the ids of alice's email addresses."""
    return dict(alice().emails.values_list("email", "pk"))


@act("add a factor")
def add_a_factor(thief: Holder) -> bool:
    if thief.seeds:
        return False
    page = thief.browser.get(SETUP)
    if page.status_code == 200 and 'id="key"' in page.text:
        thief.browser.post(SETUP, {"code": code_of(seed_on(page.text)), "name": "Mallory’s"})
    for token in thief.tokens:
        api_factors.add_app(token, "Mallory’s")
    thief.seeds += [
        row.seed for row in Authenticator.objects.filter(user=alice(), name="Mallory’s")
    ]
    return bool(thief.seeds)


@act("turn on emailed codes")
def turn_on_emailed_codes(thief: Holder) -> bool:
    was_on = alice().emailed_codes
    thief.browser.post("/accounts/2fa/emailed-codes/", {"emailed_codes": "on"})
    thief.call_with_each_token("factors/", {"emailed_codes": True}, "PATCH")
    return alice().emailed_codes and not was_on


@act("remove the owner's factor")
def remove_the_owners_factor(thief: Holder) -> bool:
    row = Authenticator.objects.filter(user=alice(), name="Phone").first()
    number = row.pk if row else 0
    thief.browser.post(f"/accounts/2fa/totp/{number}/", {"remove": "1"})
    thief.call_with_each_token(f"factors/totp/{number}/", method="DELETE")
    return row is not None and not Authenticator.objects.filter(pk=row.pk).exists()


@act("connect a provider")
def connect_a_provider(thief: Holder) -> bool:
    own = Person("mallory-1", username="mallory")
    count = alice().identities.count()
    at_provider(thief.browser, thief.scene.op, own, "connect")
    thief.browser.post("/accounts/3rdparty/confirm/", {"connect": "1"})
    if is_new := alice().identities.count() > count:
        thief.persons.append(own)
    return is_new


def at_provider(browser: Browser, op: OpenIDProvider, person: Person, act: str = "") -> Any:
    """Go to the provider and come back, if the site sends the browser there."""
    answer = browser.post(f"/accounts/{ACME}/login/", {"act": act})
    to = answer.get("Location", "")
    return come_back(browser, op.answer(to, person)) if to.startswith(op.origin) else answer


@act("change the password")
def change_the_password(thief: Holder) -> bool:
    before = alice().password
    thief.browser.post(CHANGE, {"password1": OWN})
    thief.call_with_each_token("password/change/", {"password": OWN})
    if is_new := alice().password != before:
        thief.passwords = [*{*thief.passwords, OWN}]
    return is_new


@act("end a session of the owner")
def end_a_session(thief: Holder, **form: str) -> bool:
    mine = LoginSession.objects.filter(pk=thief.scene.session, ended_at=None)
    was_live = mine.exists()
    thief.browser.post(SESSIONS, form or {"end": thief.scene.session})
    if form:
        thief.call_with_each_token("sessions/others/", {})
    else:
        thief.call_with_each_token(f"sessions/{thief.scene.session}/", method="DELETE")
    return was_live and not mine.exists()


@act("sign out everywhere else")
def sign_out_everywhere_else(thief: Holder) -> bool:
    return end_a_session(thief, others="1")


@act("reset the password by email")
def reset_the_password(thief: Holder) -> bool:
    return thief.set_password(OWN)


@act("lock the account")
def lock_the_account(holder: Holder, since: int = 0, **words: str) -> bool:
    """Lock the account from inside, or by the links in mails after the first ``since``."""
    if alice().is_locked_down and not words:
        return False
    words |= {"former": holder.passwords[-1]} if holder.passwords else {}
    for more in ({}, {"send": "1"}):
        holder.browser.post(LOCK, words | more)
    for mail in outbox()[since:]:
        link = path_of(mail.action_url)
        is_mine = mail.to in holder.mailboxes and LOCK in link
        # A dead link locks nothing, and most of the time would go into asking for its page.
        if is_mine and notices.find_notice(link.split("/")[-2]):
            there().post(link, words)
    return alice().is_locked_down


@act("begin a wait")
def begin_a_wait(thief: Holder) -> bool:
    """Ask for a wait, or lock the account first, since less is then enough to ask."""
    return _ask(thief) or (lock_the_account(thief) and _ask(thief))


def _ask(thief: Holder) -> bool:
    for browser, link in thief.openings():
        browser.post(link, {"lost": "ask"})
    for word in thief.passwords:
        browser = there()
        browser.post(LOGIN, {"login": "alice", "password": word})
        browser.post(CHALLENGE, {"lost": "ask"})
    return recovery.running(alice()) is not None


@act("enter after a wait that nobody stops")
def enter_after_a_wait(thief: Holder) -> bool:
    if not begin_a_wait(thief):
        return False
    accept_notices()
    thief.scene.clock.advance(hours=73)
    for browser, link in thief.openings():
        browser.post(link, {"lost": "finish"})
    return thief.set_password(OWN, lost="on") and thief.enter()


@act("open a staff page")
def open_a_staff_page(thief: Holder) -> bool:
    found = [call("admin/users/?q=bob", token=token).status for token in thief.tokens]
    return 200 in {thief.browser.get(page_of(thief.scene.bob)).status_code, *found}


@act("act as staff")
def act_as_staff(thief: Holder) -> bool:
    bob = thief.scene.bob
    act_in_admin(thief.browser, bob, "deactivate")
    thief.call_with_each_token(f"admin/users/{bob.pk}/deactivate/", {"reason": "Asked"})
    return not User.objects.get(pk=bob.pk).is_active


@act("act on the owner's account as staff")
def act_on_the_account_as_staff(thief: Holder) -> bool:
    # Whoever may not open the page of a person may do none of the acts: one is tried.
    is_open = thief.browser.get(page_of(alice())).status_code == 200
    by_staff = Activity.objects.filter(user=alice()).exclude(actor="")
    count = by_staff.count()
    for name in DESK if is_open else DESK[:1]:
        act_in_admin(thief.browser, alice(), name)
    return by_staff.count() > count


@act("ask for the deletion")
def ask_for_the_deletion(thief: Holder) -> bool:
    form = {"username": "alice"}
    thief.browser.post("/accounts/delete/", form)
    thief.call_with_each_token("me/", form, "DELETE")
    return alice().deletion_due is not None


@contextmanager
def undone(clock: Clock) -> Iterator[None]:
    """Roll back the database and the clock after the block."""
    now = clock.now()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    clock.set(now)


def told(mails: list[Message], email: str) -> bool:
    """Return whether one of ``mails`` is a notice to ``email``."""
    return any(m.to == email and not m.code and "Set a new" not in m.subject for m in mails)


def gains(thief: Holder) -> dict[str, bool]:
    """Try each act from the same state; return those that succeed, and whether alice hears of it.

    Of a sign-in she hears before what it is used for.
    """
    thief.enter()
    found = {}
    for name, does in ACTS.items():
        with undone(thief.scene.clock):
            count = len(outbox())
            if does(thief.copy()):
                found[name] = told(outbox()[count:], thief.scene.email)
    return found | {name: was for name, was in thief.heard.items() if name in found}


def spree(thief: Holder, names: Iterable[str]) -> set[str]:
    """Let the thief do one act after the other; return those that succeed."""
    done, thief._tried = set(), []
    for name in names:
        thief.enter()
        if ACTS[name](thief):
            done.add(name)
    return done
