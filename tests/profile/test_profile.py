"""The profile."""

import re
from functools import partial

import pytest
from django.db import transaction
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common import clock as site_clock
from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.management.commands.prune import Command
from accounts.profile import services
from accounts.profile.services import Checkup, Step
from accounts.twofactor.models import Authenticator, Passkey, RecoveryCodes, sealed_codes
from accounts.twofactor.services import Held
from accounts.users import services as users
from accounts.users.models import User, Username
from accounts.users.services import UsernameTaken
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.site import together
from tests.support.steps import PASSWORD, address_of, confirm, mail_to, make_user, sign_in, sign_up

PAGE = "/accounts/profile/"
TAKEN = "That username is taken."


def save(client, **more):
    fields = {"display_name": "", "about": "", "language": "en", "time_zone": "UTC"}
    return client.post(PAGE, fields | more, follow=True)


def test_a_saved_profile_is_recorded_once_and_changes_the_greeting(client, alice):
    signed_in(alice, client)

    for _again in range(2):
        names = {"display_name": "Alice <3", "given_name": "Alice", "family_name": "Liddell"}
        answer = save(client, **names, about=" two" + "\r\n" * 496 + "x ")

    alice.refresh_from_db()
    assert "Your profile was saved." in answer.text
    assert (alice.given_name, alice.family_name) == ("Alice", "Liddell")
    assert (alice.display_name, alice.about) == ("Alice <3", "two" + "\n" * 496 + "x")
    assert "<h1>Hello, <bdi>Alice &lt;3</bdi></h1>" in client.get("/").text
    assert Activity.objects.get(kind="profile_changed"), "saving the same values is no event"


@pytest.mark.parametrize(
    "field, value",
    [("display_name", "\u3164"), ("display_name", "\u0958" * 31), ("about", "a bell \a"),
     ("about", "x" * 501), ("language", "xx"), ("time_zone", "Europe/Atlantis")],
)  # fmt: skip
def test_a_value_that_cannot_be_shown_is_refused_at_its_field(client, alice, field, value):
    """NFC doubles the length of the second value. ``test_api.py`` lists what else is refused."""
    signed_in(alice, client)
    before = User.objects.values().get()

    page = save(client, **{field: value}).text

    assert f'id="id_{field}_error"' in page
    assert User.objects.values().get() == before


def test_a_time_zone_is_chosen_by_its_name_or_by_a_city(client, alice):
    signed_in(alice, client)

    berlin, york = "Europe/Berlin", "America/New_York"
    for typed, stored in ((berlin, berlin), ("new york", york), ("", "UTC")):
        save(client, time_zone=typed)
        alice.refresh_from_db()
        assert alice.time_zone == stored

    # A stored time zone may be unknown to this machine after an update.
    User.objects.update(time_zone="Europe/Atlantis")
    assert client.get("/accounts/activity/").status_code == 200


def test_the_language_of_the_profile_overrides_accept_language(client, alice):
    signed_in(alice, client)
    assert '<html lang="de"' in client.get("/", headers={"accept-language": "de"}).text

    save(client, language="de")
    answer = client.get("/", headers={"accept-language": "en"})

    assert '<html lang="de"' in answer.text
    assert answer["Content-Language"] == "de"
    assert '<html lang="de"' in client.get("/no-such-page").text


def test_anonymous_pages_follow_accept_language_and_vary_on_it(client):
    other = client.get("/accounts/login/", headers={"accept-language": "xx"})
    answer = client.get("/accounts/login/", headers={"accept-language": "de-AT, en;q=0.5"})

    assert (answer["Content-Language"], other["Content-Language"]) == ("de", "en")
    assert {"Accept-Language", "Cookie"} <= set(answer["Vary"].split(", "))
    # The language of one request must not leak into an error page of the next one.
    assert '<html lang="en"' in client.get("/", headers={"host": "evil.example"}).text


def language_of_mail_to(username):
    html = str(mail_to(username).alternatives[0].content)
    return html.partition('<html lang="')[2].partition('"')[0]


def test_a_new_account_keeps_the_language_of_its_sign_up():
    client = Client(headers={"accept-language": "de"})
    sign_up(client, "alice")
    assert language_of_mail_to("alice") == "de"
    confirm(client, "alice")

    assert User.objects.get().language == "de"


def test_mails_caused_by_others_are_in_the_owners_language(client, alice):
    User.objects.update(language="de")

    client.post("/accounts/login/code/", {"login": "alice"})
    assert language_of_mail_to("alice") == "de"
    sign_up(client, "bob", email=address_of("alice"))
    assert language_of_mail_to("alice") == "de"


def rename(client, name):
    return client.post(PAGE, {"username": name}, follow=True)


def test_after_a_rename_only_the_new_username_signs_in_and_the_owner_is_mailed(client, alice):
    """Withstands an impostor."""
    page = rename(signed_in(alice, client), "Alicia").text

    assert "Your username is now Alicia." in page
    assert mail_to("alice").body.startswith("Hello Alicia,\n\n")
    assert Activity.objects.get(user=alice, kind="renamed").detail == "alice → Alicia"
    assert sign_in(Client(), "alice").status_code == 200
    assert sign_in(Client(), "alicia").url == "/"


@pytest.mark.parametrize(
    "typed",
    [{"username": "alicia"},
     {"display_name": "Ali", "about": "", "language": "de", "time_zone": "America/New_York"}],
)  # fmt: skip
def test_what_was_typed_survives_reauthentication_and_is_not_saved_by_it(
    client, clock, alice, typed
):
    signed_in(alice, client)
    clock.advance(minutes=20)

    asked = client.post(PAGE, typed)
    back = client.post(asked.url, {"password": PASSWORD})

    assert asked.url.startswith("/accounts/reauthenticate/?next=")
    before = User.objects.get()
    assert (before.username, before.display_name, before.language) == ("alice", "", "")
    page = client.get(back.url)
    assert "These changes aren’t saved yet." in page.text
    shown = page.context["form"].initial | page.context["rename_form"].initial
    assert typed.items() <= shown.items()
    assert "These changes aren’t saved yet." not in client.get(PAGE).text
    assert client.post(PAGE, typed).url == PAGE
    assert typed.items() <= vars(User.objects.get()).items()


def test_a_changed_profile_is_told_in_the_language_from_before_the_change(client, alice):
    """Withstands a thief in the account: the owner cannot read the notices."""
    signed_in(alice, client)
    save(client, language="de")
    assert mail_to("alice").subject == "Your profile was changed"

    assert language_of_mail_to("alice") == "en"
    save(client, language="en")
    assert language_of_mail_to("alice") == "de"


def test_the_menu_shows_a_new_right_name_and_language_at_once(client, alice):
    signed_in(alice, client)
    before = menu_of(client)
    User.objects.filter(pk=alice.pk).update(is_staff=True, display_name="Alice A.", language="de")
    after = menu_of(client)

    assert [word in before for word in ("Overview", "alice", "/admin/")] == [True, True, False]
    assert all(word in after for word in ("Übersicht", "Alice A.", "/admin/"))
    assert 'aria-current="page"' in before.partition("Overview")[0]


def menu_of(client):
    """Return the menu on the home page."""
    return client.get("/").text.partition("<nav")[2].partition("</nav>")[0]


def test_the_choice_of_language_at_the_bottom_changes_no_account(client, alice):
    """It is for visitors. Otherwise a stale cookie could change the language of notices."""
    assert 'action="/accounts/language/"' in client.get("/accounts/login/").text
    signed_in(alice, client)

    client.post("/accounts/language/", {"language": "de"})

    assert 'action="/accounts/language/"' not in client.get("/").text
    assert User.objects.get().language == ""


def test_a_username_can_be_changed_once_a_day(client, clock, alice):
    """Refused changes do not count."""
    make_user("bob")
    signed_in(alice, client)

    assert TAKEN in rename(client, "BOB").text
    assert "Use letters, digits" in rename(client, "a@b").text
    assert "That’s already your username." in rename(client, "alice").text
    # The same username in another case needs no new reservation.
    assert "Your username is now ALICE." in rename(client, "ALICE").text
    assert Username.objects.get(key="alice").held_until is None

    assert rename(client, "alison").status_code == 429
    clock.advance(days=1)
    alice.refresh_from_db()
    assert "Your username is now alison." in rename(signed_in(alice), "alison").text


@pytest.mark.parametrize("pruned", [True, False])
def test_only_the_former_owner_can_take_a_username_back_within_thirty_days(clock, alice, pruned):
    """Withstands an impostor.

    Afterwards it is free, whether or not ``prune`` has run.
    """
    bob = make_user("bob")
    rename(signed_in(alice), "alicia")

    clock.advance(days=29)
    Command().handle()
    assert TAKEN in sign_up(Client(), "ALICE", email="new@example.org").text
    assert TAKEN in rename(signed_in(bob), "Alice").text
    alice.refresh_from_db()
    assert "Your username is now alice." in rename(signed_in(alice), "alice").text
    assert TAKEN in rename(signed_in(bob), "alicia").text

    clock.advance(days=30)
    if pruned:
        Command().handle()
    assert "Your username is now alicia." in rename(signed_in(bob), "alicia").text
    alice.refresh_from_db()
    assert TAKEN in rename(signed_in(alice), "alicia").text


def succeeds(act):
    """Return whether ``act`` succeeds, and no concurrent act was first."""
    try:
        act()
    except (UsernameTaken, RateLimited):
        return False
    return True


def hold_dave():
    with transaction.atomic():
        users.take_username("dave", until=None)


@pytest.mark.django_db(transaction=True)
def test_only_one_of_concurrent_renames_and_sign_ups_gets_a_username():
    alice, bob, carol = (make_user(name) for name in ("alice", "bob", "carol"))
    acts = [*(partial(services.rename, user, "dave", Actor()) for user in (alice, bob)), hold_dave]
    twice = [partial(services.rename, carol, f"carol{i}", Actor()) for i in range(2)]

    assert sum(together(3, lambda i: succeeds(acts[i]))) == 1
    assert sum(together(2, lambda i: succeeds(twice[i]))) == 1, "one account has one new username"
    # A person whose rename failed keeps the former username and reserves no other one.
    named = set(User.objects.values_list("username", flat=True))
    assert named | {"dave"} <= set(Username.objects.values_list("key", flat=True))
    assert Username.objects.count() == 5


APP, KEY, AUTOMATIC = Authenticator(), Passkey(), Passkey(confirmed=False)


def codes(left, *, are_saved=True):
    sealed = sealed_codes([str(number) for number in range(left)], "salt")
    return RecoveryCodes(sealed=sealed, saved_at=site_clock.now() if are_saved else None)


def checkup(*held, email="alice@example.org", **more):
    """The check-up of an account with a password and these factors."""
    factors = Held(
        [factor for factor in held if isinstance(factor, Authenticator)],
        [factor for factor in held if isinstance(factor, Passkey) and factor.confirmed],
        next((factor for factor in held if isinstance(factor, RecoveryCodes)), None),
        [factor for factor in held if isinstance(factor, Passkey) and not factor.confirmed],
    )
    more |= {"has_password": True, "has_provider": False}
    return Checkup(email, int(bool(email)), held=factors, **more)


# An account, its next step, and whether each of these is good: how it signs in, two-step
# verification, recovery, email addresses.
CHECKUPS = [
    (checkup(), Step.ADD_PASSKEY, "..++"),
    (checkup(has_declined=True), Step.TURN_ON_TWO_STEP, "..++"),
    (checkup(email=""), Step.ADD_EMAIL, "...."),
    (checkup(AUTOMATIC), Step.CONFIRM_PASSKEY, "+.++"),
    (checkup(APP, codes(10)), Step.ADD_PASSKEY, ".+++"),
    (checkup(APP, codes(10, are_saved=False)), Step.ADD_PASSKEY, ".+.+"),
    (checkup(KEY), Step.SAVE_CODES, "++.+"),
    (checkup(KEY, codes(10, are_saved=False)), Step.SAVE_CODES, "++.+"),
    (checkup(KEY, APP, codes(3)), Step.MAKE_CODES, "++.+"),
    (checkup(KEY, codes(0)), Step.MAKE_CODES, "++.+"),
    (checkup(KEY, codes(4)), None, "++++"),
    (checkup(KEY, codes(4), email=""), Step.ADD_EMAIL, "+++."),
]


@pytest.mark.parametrize("state, step, good", CHECKUPS)
def test_each_check_is_good_or_needs_attention_and_the_first_leads_to_a_step(state, step, good):
    checks = dict(state.checks)
    names = ("sign_in", "two_step", "recovery", "email")
    assert "".join("+" if checks[name] else "." for name in names) == good
    assert list(checks.values()) == sorted(checks.values()), "what needs attention comes first"
    assert state.next_step is step


def test_home_says_how_things_stand_and_shows_one_next_step(client, alice):
    text = signed_in(alice, client).get("/").text

    assert re.findall(r">(Next step[^<]+)<", text) == ["Next step: add a passkey"]
    assert re.findall(r">(Needs|Good)", text) == ["Good", "Good"]
    assert "Adding a passkey also turns on two-step verification." in text
    assert "Security emails go to <bdi>alice@example.org</bdi>." in text


def test_not_now_hides_the_offer_of_a_passkey_for_90_days(client, alice, clock):
    signed_in(alice, client)
    assert "Next step: add a passkey" in client.get("/").text

    client.post("/accounts/2fa/passkeys/offer/", {"not_now": "1"})

    assert "Next step: add a passkey" not in client.get("/").text
    clock.advance(days=90)
    assert "Next step: add a passkey" in signed_in(User.objects.get()).get("/").text


def test_home_shows_the_last_three_events(client, alice):
    signed_in(alice)
    signed_in(alice, client)
    for _ in range(3):
        record(alice, events.SIGN_IN_FAILED, Actor(ClientInfo("192.0.2.1", "")))
    record(alice, events.PASSWORD_SET, Actor())

    text = client.get("/").text

    titles = re.findall(r"<strong>(?:<a [^>]+>)?([^<]+)", text)
    assert titles == ["A password was set", "3 failed sign-ins", "Signed in with password"]


def test_home_makes_as_many_queries_for_a_rich_account_as_for_a_new_one(
    client, alice, django_assert_num_queries
):
    signed_in(alice, client)
    client.get("/")
    with django_assert_num_queries(10):
        client.get("/")

    for _ in range(3):
        enrolled(alice)
        signed_in(User.objects.get(pk=alice.pk), client)
        record(alice, events.PASSWORD_SET, Actor())
    with django_assert_num_queries(9):
        client.get("/")
