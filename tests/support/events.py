"""For each kind of event: the act that causes it and what its row says."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client

from accounts.activity.services import Actor
from accounts.administration import bulk
from accounts.apikeys.models import APIKey
from accounts.exports import services as exports
from accounts.exports.models import Export
from accounts.imports.parts import FoundPerson
from accounts.imports.services import Import
from accounts.invitations.models import Invitation
from accounts.mail.services import deliver_due
from accounts.oauth.clients.models import RegistrationToken
from accounts.recovery import suspension
from accounts.recovery.locks import lock_naming
from accounts.scim.models import Directory
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.sessions.store import digest
from accounts.throttle.limits import FACTOR_SUBSCRIBER
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users import services as users
from accounts.users.models import FormerCredential, Identity, User
from accounts.webhooks.models import Endpoint
from tests.support import api_keys as keys
from tests.support import apps as app_steps
from tests.support import second_factor, webauthn
from tests.support.administration import LIST, REASON, act, bulk_page, choose
from tests.support.api import call, exchange, get_tokens, renew, second_step
from tests.support.apps import the_app
from tests.support.authorize import address, allow, begin, result
from tests.support.devices import new_device, type_code
from tests.support.disputes import lock
from tests.support.invitations import INVITE, invited_link
from tests.support.invitations import LIST as INVITATIONS
from tests.support.oauth_client import App, new_app
from tests.support.openid_provider import OpenIDProvider
from tests.support.registration import new_token, self_register
from tests.support.second_factor import CHALLENGE, EMAILED_CODES, RECOVERY_CODES, SETUP
from tests.support.signin import Clock, set_up
from tests.support.social import configured, round_trip
from tests.support.steps import (
    IPHONE,
    LOGIN,
    LOGOUT,
    PASSWORD,
    address_of,
    confirm,
    make_staff,
    make_user,
    sign_in,
    sign_in_twice,
    sign_up,
)

REAUTHENTICATE, RESET = "/accounts/reauthenticate/", "/accounts/password/reset/"
SESSIONS, EMAIL, PROFILE, LOCKDOWN, DELETE, DATA = (
    f"/accounts/{page}/" for page in ("sessions", "email", "profile", "lockdown", "delete", "data")
)
WEBHOOKS, DIRECTORIES = "/admin/webhooks/endpoint/", "/admin/scim/directory/"
SECOND, THIRD = "alice@second.example", "alice@third.example"
NEW_PASSWORD = "slow comet over the harbour"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
HERE, THERE = ("127.0.0.1", "Firefox on Linux"), ("192.0.2.7", "Safari on iPhone")
CAFE, NOWHERE = ("198.51.100.7", HERE[1]), ("", "")


def firefox(version: int = 142, *, at: str = HERE[0]) -> Client:
    return Client(headers={"user-agent": LINUX.format(version)}, REMOTE_ADDR=at)


def iphone() -> Client:
    return Client(headers={"user-agent": IPHONE}, REMOTE_ADDR=THERE[0])


def sent() -> list[EmailMessage]:
    """Return all sent mails; queued mails are sent first."""
    deliver_due()
    return mail.outbox


def links_in(body: object, page: str) -> list[str]:
    return re.findall(rf"(?m)^https?://[^/]+({page}[\w-]+/)$", str(body))


@dataclass
class Scene:
    """Alice has signed up ``here`` and signed in ``there``; ``visitor`` is another browser."""

    settings: Any
    clock: Clock
    here: Client = field(default_factory=firefox)
    there: Client = field(default_factory=iphone)
    visitor: Client = field(default_factory=iphone)
    # The return value of the preparation, which the act uses.
    prepared: Any = None

    @property
    def alice(self) -> User:
        """Alice, found by the email that no step removes."""
        return User.objects.get(emails__email=address_of("alice"))


type Act = Callable[[Scene], Any]


def post(path: str = "", **fields: str) -> Act:
    """Return an act in which alice posts a form ``here``, by default to the prepared path."""
    return lambda scene: scene.here.post(path or scene.prepared, fields)


def in_turn(*acts: Act) -> Act:
    """Return an act that runs several acts in order and returns the result of the last."""
    return lambda scene: [act(scene) for act in acts][-1]


def command(*words: str) -> Act:
    return lambda _scene: call_command(*words, stdout=io.StringIO(), verbosity=0)


def alice_was(**fields: bool) -> Act:
    """Return an act that changes the row of alice, without a word to her."""
    return lambda s: User.objects.filter(pk=s.alice.pk).update(**fields)


def sign_in_alice(browser: Client) -> Any:
    browser.cookies.pop("sessionid", None)
    return sign_in(browser, "alice")


def begin_under_new_terms(scene: Scene) -> None:
    set_up(scene.settings, terms_url="https://example.org/terms", terms_version="1")
    sign_in(scene.visitor, "alice")


def have_an_export(scene: Scene) -> str:
    scene.here.post(DATA)
    exports.make_due()
    return str(Export.objects.get().pk)


def thief_of(scene: Scene) -> Client:
    """Return another person's phone that has alice's session cookie."""
    thief = iphone()
    thief.cookies["sessionid"] = scene.here.cookies["sessionid"].value
    return thief


def import_erin(_scene: Scene) -> None:
    importing = Import(lambda _note: None, lambda _rows: None)
    importing.run(iter([FoundPerson(username="erin")]), "digest")


def forget_the_browser(scene: Scene) -> Any:
    return scene.here.post(SESSIONS, {"forget": scene.alice.known_browsers.earliest("pk").pk})


def end_the_other_session(scene: Scene) -> None:
    row = BrowserSession.objects.get(pk=digest(scene.there.cookies["sessionid"].value))
    scene.here.post(SESSIONS, {"end": row.login_session_id})


def copy_the_cookie(protection: str) -> Act:
    def act(scene: Scene) -> None:
        set_up(scene.settings, session_protection=protection)
        thief = thief_of(scene)
        for _ in range(2):
            thief.get("/")

    return act


def newest_link(page: str, to: str = address_of("alice")) -> str:
    (link,) = links_in([mail for mail in sent() if mail.to == [to]][-1].body, page)
    return link


def ask_for_the_deletion(scene: Scene) -> str:
    """Return the mailed link that keeps the account."""
    scene.here.post(DELETE, {"username": "alice"})
    return newest_link(f"{DELETE}undo/")


def request_a_password_reset(scene: Scene) -> str:
    scene.visitor.post(RESET, {"login": "alice"})
    return newest_link(RESET)


def ask_for_a_lock_link(scene: Scene) -> str:
    scene.here.post(LOCKDOWN, {"send": "1"})
    return newest_link(LOCKDOWN)


def add_an_address(scene: Scene) -> str:
    scene.here.post(EMAIL, {"email": THIRD})
    return newest_link("/accounts/email/confirm/", THIRD)


def press_email_button(name: str) -> Act:
    """Return an act that presses a button beside alice's second email."""
    return lambda s: s.here.post(EMAIL, {name: s.alice.emails.get(email=SECOND).pk})


def add_a_recent_address(scene: Scene) -> None:
    scene.clock.advance(minutes=2)
    users.confirm_email(scene.alice, THIRD)
    scene.here.get("/")


def suspend_the_address(scene: Scene) -> FormerCredential:
    add_a_recent_address(scene)
    suspension.suspend(scene.alice, lock_naming(scene.alice, scene.clock.now()), Actor())
    return FormerCredential.objects.get()


def leave_the_review_unfinished(scene: Scene) -> None:
    suspend_the_address(scene)
    now = scene.clock.now()
    User.objects.update(locked_at=now, horizon=now, password_at=now)
    scene.clock.advance(days=30)


def review(act: str) -> Act:
    return lambda s: s.here.post("/accounts/review/", {act: s.prepared.pk})


def have_a_token(_scene: Scene) -> str:
    """Return a refresh token that a program gets at alice's phone.

    The phone's browser is known, but the program is not.
    """
    return str(get_tokens("alice", iphone())["refresh"])


def have_an_access_token(scene: Scene) -> str:
    """Return an access token that is valid for longer than five minutes."""
    set_up(scene.settings, access_token_seconds=3600)
    return str(get_tokens("alice", iphone())["access"])


def let_carol_read(scene: Scene) -> str:
    set_up(scene.settings, access_token_seconds=3600)
    challenge = get_tokens(make_staff("carol").username, iphone(), scope="users:read")["challenge"]
    code = second_factor.unused_code(User.objects.get(username="carol"))
    return str(second_step(challenge, code, iphone())["access"])


def have_a_replaced_token(scene: Scene) -> str:
    """Return a refresh token that was replaced twice.

    Using it once more is no retry after a lost answer.
    """
    first = have_a_token(scene)
    renew(renew(first, iphone())["refresh"], iphone())
    return first


def wait_until_a_key_expires_soon(scene: Scene) -> None:
    scene.here.post(keys.NEW, keys.FORM)
    scene.clock.advance(days=23, minutes=-1)
    call_command("prune", verbosity=0)
    scene.clock.advance(minutes=1)


def bring_an_identity(scene: Scene) -> None:
    with OpenIDProvider() as op:
        configured(scene.settings, op.setting())
        round_trip(scene.here, op, act="connect")


connect = post("/accounts/3rdparty/confirm/", connect="1")


def with_known_cookie(browser: Client, scene: Scene) -> Client:
    """Copy the known-browser cookie of the browser ``here`` into ``browser``."""
    browser.cookies["known"] = scene.here.cookies["known"].value
    return browser


@dataclass(frozen=True)
class Case:
    """The act that causes an event, its preparation, what its row says and who is notified.

    ``place`` is the IP address and device of the row.
    """

    act: Act
    place: tuple[str, str] = HERE
    proof: str = ""
    actor: str = ""
    user: str = "alice"
    in_session: bool = True
    prepare: Act = id
    # By default, a change is mailed to every email and anything else to the primary one.
    notified: tuple[str, ...] = ()


by_operator = partial(Case, place=NOWHERE, actor="@operator", in_session=False)
by_visitor = partial(Case, place=THERE, in_session=False)


def have_an_app(_scene: Scene) -> App:
    app = new_app()
    app.browser = iphone()
    return app


def agree_to_the_app(scene: Scene) -> Any:
    return allow(scene.here, begin(scene.here, the_app()))


def have_a_connected_app(scene: Scene) -> tuple[App, str]:
    """Return the app and the code that it has redeemed."""
    app = have_an_app(scene)
    code = result(agree_to_the_app(scene))["code"]
    assert app.redeem(code).status == 200
    return app, code


def have_a_registration_token(_scene: Scene) -> str:
    return new_token()


def carol_signs_in(scene: Scene) -> None:
    assert sign_in_twice(scene.visitor, make_staff("carol")).url == "/"


def carol_changes(**fields: str) -> Act:
    """Return an act in which carol, a superuser, posts the admin's form for alice."""
    return lambda s: s.visitor.post(
        f"/admin/accounts/user/{s.alice.pk}/change/", {"reason": REASON, **fields}
    )


def carol_gives_a_permission(scene: Scene) -> Any:
    permission = Permission.objects.get(codename="view_user")
    return carol_changes(user_permissions=str(permission.pk))(scene)


def carol_registers_an_app(scene: Scene) -> Any:
    return app_steps.register(scene.visitor)


def carol_acts_on_the_app(act: str, **fields: str) -> Act:
    return lambda scene: app_steps.act(scene.visitor, act, **fields)


def carol_adds_a_webhook(scene: Scene) -> Any:
    form = {"description": "Payroll", "url": "https://example.org", "kinds": "user.created"}
    return scene.visitor.post(f"{WEBHOOKS}add/", form | {"format": "webhook", "reason": REASON})


def carol_adds_a_directory(scene: Scene) -> Any:
    return scene.visitor.post(f"{DIRECTORIES}add/", {"name": "Okta", "reason": REASON})


def carol_posts_for_the_only(model: Any, pages: str, act: str, **fields: str) -> Act:
    """Return an act in which carol posts a form of the only row of ``model``."""
    given = {"reason": REASON} | fields
    return lambda s: s.visitor.post(f"{pages}{model.objects.get().pk}/{act}/", given)


carol_acts_on_the_webhook = partial(carol_posts_for_the_only, Endpoint, WEBHOOKS)
carol_acts_on_the_directory = partial(carol_posts_for_the_only, Directory, DIRECTORIES)


def carol_acts(name: str, **fields: str) -> Act:
    """Return an act of the support desk by carol on alice."""
    return lambda s: act(s.visitor, s.alice, name, **fields)


def carol_prepares_a_bulk_act(scene: Scene) -> str:
    return bulk_page(choose(scene.visitor, "deactivate", [make_user("dave")]))


def carol_acts_on_many(scene: Scene) -> None:
    """Let carol begin to deactivate one person, as if that were many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "UNNOTICED", 0)
        scene.visitor.post(scene.prepared, {"reason": REASON})


def have_a_key_for_staff(scene: Scene) -> None:
    """Make alice staff with an API key, and let carol sign in."""
    carol_signs_in(scene)
    User.objects.filter(pk=scene.alice.pk).update(is_staff=True)
    scene.alice.groups.add(Group.objects.get(name="Support"))
    keys.key_of(scene.alice)


def carol_allows_a_key(scene: Scene) -> Any:
    key = scene.alice.api_keys.get()
    return act(scene.visitor, scene.alice, "allow-key", target=f"{key.pk} act")


def carol_becomes_an_auditor(scene: Scene) -> None:
    carol_signs_in(scene)
    User.objects.filter(username="carol").update(is_superuser=False)
    User.objects.get(username="carol").groups.add(Group.objects.get(name="Auditor"))


def carol_ends_a_session(scene: Scene) -> Any:
    session = LoginSession.objects.filter(user=scene.alice, ended_at=None).earliest("begun_at")
    return act(scene.visitor, scene.alice, "end-sessions", target=str(session.pk))


def carol_invites(*, rights: bool = False) -> Act:
    """Return an act in which carol invites dave, also to become staff if ``rights`` is set."""
    given = {"is_staff": "on", "reason": REASON} if rights else {}
    fields = {"email": address_of("dave"), "days": "7"} | given
    return lambda s: s.visitor.post(INVITE, fields)


def have_an_authenticator(scene: Scene) -> None:
    second_factor.enrolled(scene.alice)


def reauthenticate_by_authenticator(scene: Scene) -> str:
    """Reauthenticate ``here`` with a new authenticator, and return the path of its page."""
    have_an_authenticator(scene)
    scene.here.post(REAUTHENTICATE, {"code": second_factor.unused_code(scene.alice)})
    return f"/accounts/2fa/totp/{Authenticator.objects.get(user=scene.alice).pk}/"


def take_the_first_step(scene: Scene) -> None:
    """Enter the password ``there``; the site then asks for the second factor."""
    assert sign_in_alice(scene.there).url == CHALLENGE


def enter_wrong_codes(times: int) -> Act:
    """Enter a wrong code several times ``there``; only the first of a day is mailed."""
    return lambda s: [s.there.post(CHALLENGE, {"code": "000000"}) for _ in range(times)]


wait_for_the_second_step = in_turn(have_an_authenticator, take_the_first_step)


def open_a_reset_link(scene: Scene) -> str:
    link = request_a_password_reset(scene)
    scene.visitor.get(link)
    return link


lose_the_factor = in_turn(have_an_authenticator, open_a_reset_link)


def at_the_reset_link(act: str) -> Act:
    """Return an act of somebody who has lost the second factor, at the prepared reset link."""
    return lambda s: s.visitor.post(s.prepared, {"lost": act})


def request_the_removal(scene: Scene) -> str:
    """Request the removal of the factors; return the mailed link that stops the request."""
    scene.prepared = lose_the_factor(scene)
    at_the_reset_link("ask")(scene)
    link = newest_link("/accounts/2fa/recovery/")
    scene.visitor.get(link)
    return link


def wait_out_the_recovery_period(scene: Scene) -> str:
    request_the_removal(scene)
    scene.clock.advance(hours=72)
    return open_a_reset_link(scene)


def at_the_objection_link(former: str) -> Act:
    """Return an act of somebody who types ``former``, a password, at the prepared link."""
    return lambda s: s.visitor.post(s.prepared, {"former": former})


def guess_four_times(scene: Scene) -> str:
    set_up(scene.settings, limits_scale=2)
    scene.prepared = request_the_removal(scene)
    for _ in range(4):
        at_the_objection_link("a wrong guess")(scene)
    return scene.prepared


def have_a_recovery_code(scene: Scene) -> str:
    reauthenticate_by_authenticator(scene)
    scene.here.post(RECOVERY_CODES, {"new": "1"})
    return second_factor.recovery_codes_on(scene.here.get(RECOVERY_CODES).text)[0]


def add_a_passkey(scene: Scene) -> None:
    """Reauthenticate and add a passkey by its page."""
    scene.here.post(REAUTHENTICATE, {"password": PASSWORD})
    asked = webauthn.options_on(scene.here.get(webauthn.ADD).text)
    scene.here.post(webauthn.ADD, {"credential": webauthn.Passkey().create(asked)})


def sign_in_a_moment_later(scene: Scene) -> None:
    """Let the sign-in ``here`` be recent when the event happens, five minutes from now."""
    LoginSession.objects.update(begun_at=scene.clock.now() + timedelta(minutes=4))


def have_an_automatic_passkey(scene: Scene) -> webauthn.Passkey:
    """Let the browser make a passkey, and read the message about it."""
    passkey = webauthn.let_the_browser_make(scene.here)
    scene.here.get("/")
    return passkey


def confirm_the_passkey(scene: Scene) -> None:
    """Use the passkey on its page, save the recovery codes, and make it a second factor."""
    page = webauthn.confirm_page(scene.prepared)
    text = webauthn.codes_page(scene.here, scene.prepared)
    code, shown = second_factor.recovery_codes_on(text)[0], second_factor.shown_on(text)
    scene.here.post(page, {"code": code, "shown": shown})


def reauthenticate_by_passkey(scene: Scene) -> str:
    """Reauthenticate ``here`` with a new passkey, and return the path of its page."""
    passkey = webauthn.registered(scene.alice)
    answer = passkey.get(webauthn.options_on(scene.here.get(REAUTHENTICATE).text))
    scene.here.post(REAUTHENTICATE, {"credential": answer})
    return f"{webauthn.PASSKEYS}{Passkey.objects.get().pk}/"


def have_a_cloned_key(scene: Scene) -> webauthn.Passkey:
    """Return a copy of a security key whose original has been used more often since."""
    copy = webauthn.registered(scene.alice, counts=True)
    Passkey.objects.update(sign_count=5)
    scene.there.cookies.pop("sessionid")
    return copy


def wait_for_a_passkey(scene: Scene) -> webauthn.Passkey:
    """Enter the password ``there``, and return a passkey for the second step."""
    scene.prepared = webauthn.registered(scene.alice)
    take_the_first_step(scene)
    return scene.prepared


def use_passkey_there(page: str, to: str, **more: str) -> Act:
    """Answer the WebAuthn options on ``page`` with the prepared passkey; post it ``to`` a URL."""

    def act(scene: Scene) -> None:
        answer = scene.prepared.get(webauthn.options_on(scene.there.get(page).text))
        scene.there.post(to, {"credential": answer, **more})

    return act


trust_a_browser = use_passkey_there(CHALLENGE, CHALLENGE, trust="on")


with_authenticator = partial(Case, prepare=reauthenticate_by_authenticator)
with_passkey = partial(Case, prepare=reauthenticate_by_passkey)
at_second_step = partial(by_visitor, prepare=wait_for_the_second_step)
after_a_failure = in_turn(wait_for_the_second_step, enter_wrong_codes(1))

FACTOR_CASES = {
    "factor_added": Case(
        lambda s: s.here.post(SETUP, {"code": second_factor.code_of(s.prepared)}),
        proof="otp",
        prepare=lambda s: second_factor.seed_on(s.here.get(SETUP).text),
    ),
    "factor_renamed": with_authenticator(post(name="Tablet")),
    "factor_removed": with_authenticator(post(remove="1"), proof="pwd mail otp"),
    "factors_reset": by_operator(
        command("reset_second_factor", "alice"), prepare=have_an_authenticator
    ),
    "factors_recovered": by_visitor(
        at_the_reset_link("finish"), proof="mail", prepare=wait_out_the_recovery_period
    ),
    "factor_failed_new": at_second_step(enter_wrong_codes(1)),
    "factor_failed": by_visitor(enter_wrong_codes(1), prepare=after_a_failure),
    "factor_blocked": by_visitor(
        enter_wrong_codes(FACTOR_SUBSCRIBER.burst + 1), prepare=after_a_failure
    ),
    "recovery_codes_made": with_authenticator(post(RECOVERY_CODES, new="1"), proof="pwd mail otp"),
    "emailed_codes_on": with_authenticator(
        post(EMAILED_CODES, emailed_codes="on"), proof="pwd mail otp"
    ),
    "emailed_codes_off": Case(
        post(EMAILED_CODES, emailed_codes="off"),
        proof="pwd mail otp",
        prepare=in_turn(alice_was(emailed_codes=True), reauthenticate_by_authenticator),
    ),
    "recovery_code_used": Case(
        lambda s: s.here.post(REAUTHENTICATE, {"code": s.prepared}), prepare=have_a_recovery_code
    ),
    "recovery_asked": by_visitor(at_the_reset_link("ask"), proof="mail", prepare=lose_the_factor),
    "recovery_cancelled": by_visitor(
        at_the_objection_link(PASSWORD), proof="mail pwd", prepare=request_the_removal
    ),
    "passkey_added": Case(add_a_passkey, proof="passkey"),
    "passkey_made": Case(
        lambda s: webauthn.let_the_browser_make(s.here),
        proof="pwd mail",
        prepare=sign_in_a_moment_later,
    ),
    "passkey_confirmed": Case(
        confirm_the_passkey, proof="pwd mail", prepare=have_an_automatic_passkey
    ),
    "passkey_renamed": with_passkey(post(name="Laptop")),
    "passkey_removed": with_passkey(post(remove="1"), proof="pwd mail passkey"),
    "passkey_suspect": by_visitor(
        use_passkey_there(LOGIN, webauthn.LOGIN_PASSKEY), prepare=have_a_cloned_key
    ),
    "browser_trusted": Case(trust_a_browser, THERE, prepare=wait_for_a_passkey),
    "trust_ended": Case(
        post("/accounts/2fa/trusted/", all="1"),
        prepare=in_turn(wait_for_a_passkey, trust_a_browser),
    ),
}


by_carol = partial(Case, place=THERE, actor="carol", prepare=carol_signs_in)
CAROLS = (address_of("carol"),)
about_apps = partial(by_carol, user="carol", notified=CAROLS)
about_the_app = partial(about_apps, prepare=in_turn(carol_signs_in, carol_registers_an_app))
about_the_webhook = partial(about_apps, prepare=in_turn(carol_signs_in, carol_adds_a_webhook))
about_the_directory = partial(about_apps, prepare=in_turn(carol_signs_in, carol_adds_a_directory))
carol_herself = partial(about_apps, actor="")

CASES = FACTOR_CASES | {
    "signed_up": by_visitor(
        lambda s: confirm(s.visitor, "bob"), user="bob", prepare=lambda s: sign_up(s.visitor, "bob")
    ),
    "imported": Case(import_erin, NOWHERE, user="erin", actor="@operator", in_session=False),
    "terms_accepted": by_visitor(
        lambda s: s.visitor.post("/accounts/terms/", {"terms": "1"}),
        proof="pwd",
        prepare=begin_under_new_terms,
    ),
    "export_requested": Case(post(DATA)),
    "export_fetched": Case(
        lambda s: s.here.post(DATA, {"download": s.prepared}), prepare=have_an_export
    ),
    "signed_in": Case(lambda s: sign_in_alice(s.here), proof="pwd"),
    "signed_in_new": Case(lambda _: sign_in_alice(iphone()), THERE, "pwd"),
    "signed_in_network": Case(
        lambda s: sign_in_alice(with_known_cookie(firefox(at=CAFE[0]), s)), CAFE, "pwd"
    ),
    "signed_out": Case(post(LOGOUT)),
    "proof_given": Case(post(REAUTHENTICATE, password=PASSWORD), proof="pwd"),
    "session_ended": Case(end_the_other_session),
    "browser_forgotten": Case(forget_the_browser),
    "session_ended_by_limit": Case(
        lambda s: sign_in_alice(s.there),
        THERE,
        "pwd",
        prepare=lambda s: set_up(s.settings, max_sessions=2),
    ),
    "others_ended": Case(post(SESSIONS, others="1")),
    "sign_in_failed": by_visitor(lambda s: sign_in(s.visitor, "alice", NEW_PASSWORD)),
    "proof_failed": Case(post(REAUTHENTICATE, password=NEW_PASSWORD)),
    "proof_guessed": Case(
        post(REAUTHENTICATE, password=NEW_PASSWORD),
        prepare=in_turn(*[post(REAUTHENTICATE, password=NEW_PASSWORD)] * 4),
    ),
    "former_guessed": by_visitor(at_the_objection_link("a wrong guess"), prepare=guess_four_times),
    "browser_changed": Case(copy_the_cookie("basic"), THERE),
    "browser_proved": Case(
        lambda s: thief_of(s).post(REAUTHENTICATE, {"password": PASSWORD}), THERE, "pwd"
    ),
    "session_stopped": Case(copy_the_cookie("strong"), THERE),
    "password_changed": by_operator(command("changepassword", "alice")),
    "password_reset": by_visitor(
        lambda s: s.visitor.post(s.prepared, {"password1": NEW_PASSWORD}),
        proof="mail",
        prepare=request_a_password_reset,
    ),
    "password_set": Case(
        post("/accounts/password/set/", password1=NEW_PASSWORD),
        proof="pwd mail",
        prepare=lambda _: User.objects.update(password=make_password(None)),
    ),
    "address_added": Case(
        post(), prepare=add_an_address, notified=(address_of("alice"), SECOND, THIRD)
    ),
    "address_removed": Case(press_email_button("remove")),
    "primary_changed": Case(press_email_button("primary")),
    "renamed": Case(post(PROFILE, username="alicia"), proof="pwd mail", user="alicia"),
    "profile_changed": Case(
        post(PROFILE, display_name="", about="", language="en", time_zone="Asia/Tokyo")
    ),
    "locked_down": Case(post(), proof="mail pwd", in_session=False, prepare=ask_for_a_lock_link),
    "unlocked": by_operator(command("changepassword", "alice"), prepare=lambda s: lock(s.alice)),
    "lock_asked": Case(post(LOCKDOWN, send="1")),
    "all_ended": by_operator(command("end_sessions", "alice")),
    "staff_granted": by_carol(carol_changes(is_staff="on")),
    "superuser_granted": by_carol(carol_changes(is_superuser="on")),
    **{
        f"{right}_withdrawn": by_carol(
            carol_changes(), prepare=in_turn(carol_signs_in, alice_was(**{f"is_{right}": True}))
        )
        for right in ("staff", "superuser")
    },
    "rights_changed": by_carol(carol_gives_a_permission),
    "staff_changed": about_apps(carol_changes(is_staff="on")),
    "bulk_started": by_carol(
        carol_acts_on_many,
        prepare=in_turn(carol_signs_in, alice_was(is_superuser=True), carol_prepares_a_bulk_act),
    ),
    "group_changed": about_apps(
        lambda s: s.visitor.post("/admin/auth/group/add/", {"name": "Editors", "reason": "asked"}),
        notified=(),
    ),
    "key_allowed": by_carol(carol_allows_a_key, prepare=have_a_key_for_staff),
    "key_disallowed": by_carol(
        carol_acts("withdraw-key"), prepare=in_turn(have_a_key_for_staff, carol_allows_a_key)
    ),
    "details_read": by_carol(carol_acts("details"), prepare=carol_becomes_an_auditor),
    "details_seen": carol_herself(
        carol_acts("details"), prepare=carol_becomes_an_auditor, notified=()
    ),
    "people_shown": carol_herself(lambda s: s.visitor.get(LIST), notified=()),
    "invited": carol_herself(carol_invites(rights=True)),
    "invitation_revoked": carol_herself(
        lambda s: s.visitor.post(f"{INVITATIONS}{Invitation.objects.get().pk}/delete/"),
        prepare=in_turn(carol_signs_in, carol_invites()),
    ),
    "invitation_accepted": Case(
        lambda s: iphone().post(s.prepared, {"username": "dave", "password1": NEW_PASSWORD}),
        NOWHERE,
        user="carol",
        in_session=False,
        prepare=in_turn(carol_signs_in, carol_invites(), lambda _: invited_link()),
    ),
    "app_registered": about_apps(carol_registers_an_app),
    "app_changed": about_the_app(lambda s: app_steps.change(s.visitor, name="Wiki")),
    "app_secret_made": about_the_app(carol_acts_on_the_app("secret")),
    "app_disabled": about_the_app(carol_acts_on_the_app("enabled", enabled="no")),
    "app_enabled": about_apps(
        carol_acts_on_the_app("enabled", enabled="yes"),
        prepare=in_turn(
            carol_signs_in, carol_registers_an_app, carol_acts_on_the_app("enabled", enabled="no")
        ),
    ),
    "registration_token_made": by_operator(
        have_a_registration_token, user="carol", prepare=carol_signs_in, notified=CAROLS
    ),
    "app_self_registered": by_visitor(
        lambda s: self_register(s.prepared, browser=s.visitor),
        user="carol",
        prepare=in_turn(carol_signs_in, have_a_registration_token),
    ),
    "registration_token_revoked": about_apps(
        lambda s: s.visitor.post(
            f"/admin/oauth/registrationtoken/{RegistrationToken.objects.get().pk}/delete/",
            {"reason": REASON},
        ),
        prepare=in_turn(carol_signs_in, have_a_registration_token),
    ),
    "webhook_added": about_apps(carol_adds_a_webhook),
    "webhook_changed": about_the_webhook(carol_acts_on_the_webhook("secret")),
    "webhook_disabled": about_the_webhook(carol_acts_on_the_webhook("enabled", enabled="no")),
    "directory_added": about_apps(carol_adds_a_directory),
    "directory_changed": about_the_directory(carol_acts_on_the_directory("token")),
    "directory_disabled": about_the_directory(carol_acts_on_the_directory("enabled", enabled="no")),
    "webhook_sent": about_the_webhook(carol_acts_on_the_webhook("test"), notified=()),
    "app_connected": Case(agree_to_the_app, prepare=have_an_app),
    "app_refused": Case(
        lambda s: s.here.get(s.prepared),
        prepare=lambda s: s.here.get(address(app_steps.make_app(factor="passkey")))["Location"],
    ),
    "device_connected": Case(
        lambda s: allow(s.here, type_code(s.here, s.prepared["user_code"])),
        prepare=lambda _: new_device()[1],
    ),
    "app_disconnected": Case(
        lambda s: s.here.post(f"/accounts/apps/{the_app().pk}/"), prepare=have_a_connected_app
    ),
    "code_reused": by_visitor(
        lambda s: s.prepared[0].redeem(s.prepared[1]), prepare=have_a_connected_app
    ),
    "switched_off": by_carol(carol_acts("deactivate")),
    "switched_on": by_carol(
        carol_acts("reactivate"), prepare=in_turn(carol_signs_in, alice_was(is_active=False))
    ),
    "deletion_requested": Case(post(DELETE, username="alice"), proof="pwd mail"),
    "deletion_undone": by_visitor(
        lambda s: s.visitor.post(s.prepared), proof="mail", prepare=ask_for_the_deletion
    ),
    "reset_sent": by_carol(carol_acts("send-reset")),
    "confirmation_sent": by_carol(
        carol_acts("send-confirmation"),
        prepare=in_turn(add_an_address, lambda s: s.clock.advance(minutes=1), carol_signs_in),
    ),
    "ended_by_staff": by_carol(carol_ends_a_session),
    "limits_cleared": by_carol(
        in_turn(lambda _: sign_in(firefox(), "alice", NEW_PASSWORD), carol_acts("clear-limits"))
    ),
    "lock_lifted": by_carol(
        carol_acts("lift-lock"), prepare=in_turn(carol_signs_in, lambda s: lock(s.alice))
    ),
    "support_decided": by_carol(
        carol_acts("decide", target=address_of("alice")),
        prepare=in_turn(request_the_removal, carol_signs_in),
    ),
    "support_asked": at_second_step(
        lambda s: s.there.post(CHALLENGE, {"lost": "support"}), proof="pwd"
    ),
    "staff_acted": by_carol(carol_acts("deactivate"), user="carol", actor=""),
    "suspended": Case(
        post(),
        proof="mail pwd",
        in_session=False,
        prepare=in_turn(add_a_recent_address, ask_for_a_lock_link),
    ),
    "put_back": Case(
        review("keep"),
        proof="pwd mail",
        prepare=suspend_the_address,
        notified=(address_of("alice"), SECOND, THIRD),
    ),
    "suspended_deleted": Case(review("delete"), proof="pwd mail", prepare=suspend_the_address),
    "reviewed": Case(
        post("/accounts/review/", done="1"),
        proof="pwd mail",
        prepare=lambda s: User.objects.update(horizon=s.clock.now()),
    ),
    "review_ended": Case(
        lambda _scene: suspension.end_forgotten_reviews(),
        NOWHERE,
        in_session=False,
        prepare=leave_the_review_unfinished,
    ),
    "client_signed_in": Case(have_a_token, THERE, "pwd", prepare=have_a_token),
    "client_signed_in_new": Case(have_a_token, THERE, "pwd"),
    "client_signed_out": Case(
        lambda s: call("token/revoke/", {"token": s.prepared}, client=s.visitor),
        THERE,
        prepare=have_a_token,
    ),
    "token_reused": Case(
        lambda s: renew(s.prepared, s.visitor), THERE, prepare=have_a_replaced_token
    ),
    "key_made": Case(post(keys.NEW, **keys.FORM)),
    "key_ended": Case(
        lambda s: s.here.post(keys.KEYS, {"end": APIKey.objects.get().pk}),
        prepare=post(keys.NEW, **keys.FORM),
    ),
    "token_exchanged": Case(
        lambda s: exchange(s.prepared, iphone()), THERE, prepare=have_an_access_token
    ),
    "profile_read": by_carol(
        lambda s: call(f"users/{s.alice.pk}/", token=s.prepared, client=iphone()),
        prepare=let_carol_read,
    ),
    "page_opened": by_carol(lambda s: s.visitor.get(f"/admin/accounts/user/{s.alice.pk}/change/")),
    "key_expires": Case(
        command("prune"), NOWHERE, in_session=False, prepare=wait_until_a_key_expires_soon
    ),
    "provider_connected": Case(connect, proof="pwd mail", prepare=bring_an_identity),
    "provider_disconnected": Case(
        lambda s: s.here.post("/accounts/3rdparty/", {"disconnect": Identity.objects.get().pk}),
        proof="pwd mail",
        prepare=in_turn(bring_an_identity, connect),
    ),
}
