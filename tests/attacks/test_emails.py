"""Attacks with email addresses and emails."""

import re
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.services import Actor
from accounts.codes.models import Code
from accounts.codes.services import WrongCode
from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.common.text import canonical_code
from accounts.emails import services as addresses
from accounts.passwords import changes
from accounts.sessions.models import LoginSession
from accounts.throttle import services as throttle
from accounts.throttle.limits import MAIL_BOX, MAIL_BROWSER, MAIL_MEMBERS, MAIL_SUBSCRIBER
from accounts.users.models import FormerCredential, User
from accounts.users.services import AccountChanged, rename
from tests.support.administration import act as staff_act
from tests.support.administration import desk
from tests.support.api import call
from tests.support.disputes import lock
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import (
    CODE,
    CONFIRM,
    LOGOUT,
    PASSWORD,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

EMAIL = "/accounts/email/"
RESET = "/accounts/password/reset/"
NEW = "a lantern over seven wet roofs"
MINE = "alice@example.org"
THIEFS = "thief@example.net"
# The parts of a page that differ in each answer: ids, CSRF tokens, nonces.
CHANGING = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4,12}){4}|(token|nonce)[^>]+"')


@pytest.fixture
def alice():
    """Alice, a year after she signed up."""
    user = make_user("alice")
    user.date_joined -= timedelta(days=365)
    user.save()
    user.emails.update(confirmed_at=user.date_joined)
    return user


def button(browser, name, address=""):
    """Return the value of the button called ``name`` in the row of ``address``."""
    rows = re.split(r"<li|<section", browser.get(EMAIL).text)
    (row,) = [row for row in rows if f'name="{name}"' in row and address in row]
    found = re.search(rf'name="{name}" value="([^"]+)"', row)
    assert found
    return found[1]


def add(browser, address):
    """Add an email and confirm it with the mailed code."""
    browser.post(EMAIL, {"email": address})
    return confirm(browser, address, outbox()[-1].code)


def confirm(browser, address, code):
    return browser.post(EMAIL, {"confirm": button(browser, "confirm", address), "code": code})


def make_primary(browser, address):
    return browser.post(EMAIL, {"primary": button(browser, "primary", address)})


def newest_mail(address, words):
    """Return the newest mail to ``address`` with ``words`` in its subject."""
    return [mail for mail in outbox() if mail.to == address and words in mail.subject][-1]


def state(user):
    user.refresh_from_db()
    return user.email, set(user.emails.values_list("email", flat=True))


def test_changing_the_address_is_one_flow_with_two_mails_to_each_mailbox_at_most(alice):
    """The browser stays known."""
    new, browser = "new@example.org", signed_in(alice)
    before = len(outbox())

    page = browser.post(EMAIL, {"email": new, "instead": "1"}, follow=True).text
    assert re.search(r'name="replace" id="replace[^"]+" checked', page)
    code, row = outbox()[-1].code, button(browser, "confirm", new)
    answer = browser.post(EMAIL, {"confirm": row, "code": code, "replace": "on"}, follow=True)

    assert f"{new} is now your address. {MINE} was removed." in answer.text
    assert state(alice) == (new, {new})
    changes = "An email address was added · Your primary email address was changed"
    notice = f"{changes} · An email address was removed"
    assert {(mail.to, mail.subject) for mail in outbox()[before:]} == {
        *((new, f"{code} is your code for authsite"), (new, notice), (MINE, notice))
    }
    assert len(outbox()) == before + 3
    browser.post(LOGOUT)
    sign_in(browser, "alice")
    assert "new browser" not in outbox()[-1].subject


def test_a_code_alone_adds_an_address_but_replaces_none_without_recent_authentication(alice, clock):
    browser = signed_in(alice)
    browser.post(EMAIL, {"email": THIEFS, "instead": "1"})
    asked, code = {"confirm": button(browser, "confirm", THIEFS)}, outbox()[-1].code
    link = path_of(outbox()[-1].action_url)
    clock.advance(minutes=9, seconds=59)
    LoginSession.objects.update(auth_time=clock.now() - timedelta(minutes=11))

    for path, posted in ((EMAIL, asked | {"code": code}), (link, {})):
        assert "/reauthenticate/" in browser.post(path, posted | {"replace": "on"}).url
    assert state(alice) == (MINE, {MINE})
    browser.post(EMAIL, asked | {"code": code})
    assert state(alice) == (MINE, {MINE, THIEFS})


def test_adding_a_taken_email_looks_like_a_free_one_and_its_owner_is_notified(alice):
    """Withstands a spy."""
    browser = signed_in(make_user("mallory"))

    pages = []
    for address in (MINE, "free@example.org"):
        answer = browser.post(EMAIL, {"email": address}, follow=True)
        pages.append(CHANGING.sub("", answer.text).replace(address, ""))
        browser.post(EMAIL, {"cancel": button(browser, "cancel", address)})

    assert pages[0] == pages[1]
    notice = newest_mail(MINE, "tried to add")
    assert not notice.code
    assert not notice.action_url


def test_a_confirmation_link_works_only_for_its_user_and_only_by_post(alice):
    """Withstands an impostor."""
    browser = signed_in(alice)
    browser.post(EMAIL, {"email": "alice@example.net"})
    link = path_of(outbox()[-1].action_url)

    assert Client().post(link)["Location"].startswith("/accounts/login/?next=")
    assert signed_in(make_user("mallory")).post(link).status_code == 404
    browser.get(link)
    assert state(alice) == (MINE, {MINE})
    assert sign_in(Client(), "alice@example.net").status_code == 200, "it does not sign in yet"
    assert browser.post(link).status_code == 302
    assert browser.post(link).status_code == 404
    assert state(alice) == (MINE, {MINE, "alice@example.net"})
    assert sign_in(Client(), "alice@example.net").url == "/"


def test_another_users_email_cannot_be_made_primary_or_removed(alice):
    """Withstands another member."""
    browser = signed_in(alice)
    add(browser, "alice@example.net")
    number = button(browser, "remove", "alice@example.net")
    mallory = make_user("mallory")

    for name in ("primary", "remove"):
        signed_in(mallory).post(EMAIL, {name: number})
        signed_in(mallory).post(EMAIL, {name: "9" * 400})

    assert state(alice) == (MINE, {MINE, "alice@example.net"})
    assert state(mallory) == ("mallory@example.org", {"mallory@example.org"})


def test_an_account_keeps_its_primary_email_and_has_at_most_ten(alice):
    """Withstands an accident."""
    browser = signed_in(alice)

    browser.post(EMAIL, {"remove": str(alice.emails.get().pk)})
    for i in range(12):
        browser.post(EMAIL, {"email": f"alice{i}@example.net"})

    assert state(alice) == (MINE, {MINE})
    assert browser.get(EMAIL).text.count('name="confirm"') == 9
    with pytest.raises(RateLimited):
        addresses.add(alice, "another@example.net", ClientInfo("10.0.0.1", ""))


def test_a_cancelled_or_late_address_leaves_no_code_and_no_link(alice, clock):
    home, bob = ClientInfo("10.0.0.1", ""), make_user("bob")
    hers, his = (addresses.add(user, f"{user}@example.net", home) for user in (alice, bob))

    asked = [str(row.pk) for row in (his, hers, hers)]
    assert [addresses.cancel(alice, pk) for pk in asked] == [False, True, False]
    assert set(Code.objects.values_list("subject", flat=True)) == {str(his.pk)}
    clock.advance(days=3, seconds=-1)
    assert (addresses.prune(), addresses.pending_of(bob)) == (0, [his])
    clock.advance(seconds=1)
    assert (addresses.pending_of(bob), addresses.find_pending(bob, asked[0])) == ([], None)
    assert addresses.prune() == 1


def steal(alice):
    """Replace alice's email with the thief's, in her own session."""
    thief = signed_in(alice)
    add(thief, THIEFS)
    make_primary(thief, THIEFS)
    thief.post(EMAIL, {"remove": button(thief, "remove", MINE)})
    assert state(alice) == (THIEFS, {THIEFS})
    return thief


@proves("V6.3.7", "63B-4.6")
@pytest.mark.parametrize("words", ["primary email address was changed", "was removed", "was added"])
def test_a_link_mailed_to_the_former_email_locks_a_stolen_account_and_its_owner_gets_it_back(
    alice, words
):
    """Withstands a thief in the account."""
    thief = steal(alice)
    link = path_of(newest_mail(MINE, words).action_url)

    assert THIEFS not in Client().get(link).text
    assert Client().post(link).status_code == 200
    assert Client().post(link).status_code == 404
    assert state(alice) == ("", set())
    assert not is_signed_in(thief)
    locking = {m.action_url for m in outbox() if m.to == THIEFS and "/lockdown/" in m.action_url}
    assert locking, "the thief has got links to lock the account, too"
    assert {Client().post(path_of(link)).status_code for link in locking} == {404}

    owner = Client()
    owner.post(RESET, {"login": MINE})
    reset = path_of(newest_mail(MINE, "Set a new password").action_url)
    owner.post(reset, {"former": PASSWORD})
    owner.post(reset, {"password1": NEW})
    sign_in(owner, "alice", NEW)
    row = FormerCredential.objects.get(label=MINE, is_suspended=False)
    owner.post("/accounts/review/", {"keep": row.pk})
    assert state(alice) == (MINE, {MINE})


def test_email_changes_in_progress_fail_after_a_lockdown(alice):
    owner = signed_in(alice)
    add(owner, "alice@example.net")
    as_read, (other,) = User.objects.get(), alice.emails.filter(email="alice@example.net")
    lock(alice)

    for act in (
        lambda: addresses.make_primary(as_read, other.pk, Actor()),
        lambda: addresses.remove(as_read, other.pk, Actor()),
        lambda: rename(as_read, "mallory"),
        lambda: addresses.add(as_read, THIEFS, ClientInfo("10.0.0.1", "")),
    ):
        with pytest.raises(AccountChanged):
            act()


def at(line, address=1):
    """Return a browser in a wide network of its own."""
    return Client(REMOTE_ADDR=f"10.{line}.0.{address}")


def ask(browser, login="alice", page=RESET):
    return browser.post(page, {"login": login})


def mailed(to="alice@example.org"):
    return sum(mail.to == to for mail in outbox())


@pytest.mark.parametrize(
    "written", ["victim+{}@gmail.com", "v.ictim+{}@googlemail.com", "victim+{}@example.org"]
)
def test_thirty_sign_ups_from_one_wide_network_send_a_mailbox_two_mails(written):
    addresses = (written.format(i or "") for i in range(30))
    answers = [sign_up(at(0, i), f"m{i}", to).status_code for i, to in enumerate(addresses)]

    assert answers == [302] * MAIL_SUBSCRIBER.burst + [429] * 28
    assert sum(bool(mail.to) for mail in outbox()) == 2
    assert sign_up(at(1), "alice", "victim@gmail.org").status_code == 302


def test_a_mailbox_gets_six_mails_a_day_and_the_answers_do_not_reveal_it(clock):
    """Withstands a flood.

    The requests are resets, codes and sign-ups, by username and by email, known and unknown.
    """
    make_user("alice")
    logins = {"alice": ["alice", "alice@example.org"], "nobody": ["nobody", "nobody@example.org"]}
    seen: dict[str, set[Any]] = {}
    for who, (name, address) in logins.items():
        for hour in range(24):
            answers = [ask(at(hour), name), ask(at(hour), address, CODE)]
            answers.append(sign_up(at(100 + hour), f"{who}{hour}", address))
            seen.setdefault(who, set()).add(tuple(a.status_code for a in answers))
            clock.advance(hours=1)
        if who == "alice":
            assert mailed() == MAIL_BOX.burst + 2
    assert seen == {who: {(200, 302, 302)} for who in logins}


def test_the_work_is_the_same_when_a_mailbox_has_reached_its_limit(clock):
    """Withstands a spy."""
    make_user("alice")
    works = {}
    for login in ("alice@example.org", "nobody@example.org"):
        works[login] = []
        for line in range(6):
            with CaptureQueriesContext(connection) as queries:
                ask(at(line), login)
            works[login].append(len(queries))

    assert len({n for counts in works.values() for n in counts}) == 1, works
    assert mailed() == MAIL_BOX.burst


def test_using_a_mailed_code_restores_the_budget_that_its_mail_spent(clock):
    make_user("alice")
    for _ in range(8):
        browser = at(0)
        assert ask(browser, page=CODE).status_code == 302
        browser.post(CODE, {"code": outbox()[-1].code})
        assert is_signed_in(browser)
        clock.advance(minutes=1)

    assert [ask(at(0)).status_code for _ in range(2)] == [200, 429]


def test_a_known_browser_has_a_mail_budget_of_its_own(clock):
    make_user("alice")
    make_user("bob")
    hers = at(0)
    sign_in(hers, "alice")
    hers.post(LOGOUT)
    notices = mailed()
    for line in range(5):
        ask(at(line), "alice")
    assert mailed() == notices + MAIL_BOX.burst

    for _ in range(MAIL_BROWSER.burst):
        assert ask(hers).status_code == 200
        clock.advance(minutes=1)
    assert mailed() == notices + MAIL_BOX.burst + MAIL_BROWSER.burst
    link, text = path_of(outbox()[-1].action_url), outbox()[-1].to_json()
    assert ("30 minutes" in text, "10 minutes" in text) == (True, False), "there is no code"
    assert ask(hers).status_code == 429
    assert [ask(hers, "bob", page).status_code for page in (RESET, CODE, CODE)] == [200, 302, 429]
    hers.post(link, {"password1": NEW})
    before = mailed()
    ask(at(6))
    assert mailed() == before, "using one of her emails gives strangers no other"


def reset_code(browser):
    alice = make_user("alice")
    asked = "alice@example.org", "nonce"
    client = ClientInfo(browser.defaults["REMOTE_ADDR"], "")
    changes.send_reset(*asked, client, has_code=True)
    return lambda code: changes.find_reset_by_code(*asked, code, client).user == alice


type Check = Callable[[str], bool]


def sign_in_code(browser):
    make_user("alice")
    ask(browser, "alice", CODE)
    return lambda code: browser.post(CODE, {"code": code}).status_code == 302


def sign_up_code(browser):
    sign_up(browser, "mallory", "alice@example.org")
    return lambda code: browser.post(CONFIRM, {"code": code}).status_code == 302


def silence_by_members(address):
    """Let other signed-in people cause as many emails to ``address`` as all of them may."""
    for other in range(MAIL_MEMBERS.burst):
        throttle.hit(silent=throttle.of_person(UUID(int=other), address)[1:])


def code_of_a_new_email(browser):
    client = ClientInfo(browser.defaults["REMOTE_ADDR"], "")
    silence_by_members("alice@example.org")
    row = addresses.add(make_user("mallory"), "alice@example.org", client)
    return lambda code: addresses.confirm_by_code(row, code, Actor(client)) is None


@pytest.mark.parametrize("begin", [sign_in_code, sign_up_code, code_of_a_new_email, reset_code])
def test_requests_beyond_the_limit_of_a_mailbox_give_no_further_guesses(begin):
    """Withstands a guesser.

    Eight digits are safe only because a mailbox gets few codes, with five tries each.
    """
    for line in range(MAIL_BOX.burst):
        ask(at(line), "alice@example.org", CODE)

    is_accepted = begin(at(MAIL_BOX.burst))

    mail = outbox()[-1]
    assert (mail.to, bool(mail.code)) == ("", True)
    with suppress(WrongCode):
        assert not is_accepted(canonical_code(mail.code))


def test_a_sign_up_with_a_taken_username_does_not_reveal_which_mailbox_is_full(clock):
    """Withstands a spy.

    Mails requested by username use up what its mailbox may get from the same wide network.
    """
    seen = []
    for login in ("alice", "bob"):
        make_user(login)
    for line, login in enumerate(("alice", "bob")):
        for _ in range(MAIL_SUBSCRIBER.burst):
            assert ask(at(line), login).status_code == 200
            clock.advance(minutes=1)
        answers = [sign_up(at(line), "bob", "alice@example.org") for _ in range(3)]
        seen.append([answer.status_code for answer in answers])

    assert seen == [[200] * 3] * 2


@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_requesting_another_code_does_not_reveal_how_many_sign_ups_are_pending(clock, waiting):
    for n in range(waiting):
        assert sign_up(at(10 + n), f"alice{n}", "alice@example.org").status_code == 302

    again = {"email": "alice@example.org"}
    statuses = [call("email/resend/", again, client=at(0)).status for _ in range(2)]
    later = [ask(at(0, i), "alice@example.org").status_code for i in range(2)]

    assert (statuses, later) == ([200, 429], [200, 429])


def test_a_mail_that_is_not_sent_does_not_invalidate_an_earlier_code(clock):
    sign_up(at(0), "alice")
    for line in range(1, MAIL_BOX.burst + 2):
        assert call("email/resend/", {"email": "alice@example.org"}, client=at(line)).status == 200
    latest = [mail for mail in outbox() if mail.to]

    assert len(latest) == MAIL_BOX.burst
    confirmed = {"email": "alice@example.org", "code": latest[-1].code}
    assert call("email/verify/", confirmed, client=at(0)).status == 200


def test_three_requests_a_day_from_new_networks_keep_no_mailbox_silent_for_its_owner(clock):
    """Withstands a flood.

    A new browser waits as long as they go on, until staff reset the limits.
    """
    alice, hers, new = make_user("alice"), at(0), "new@example.org"
    sign_in(hers, "alice")
    hers.post(LOGOUT)
    for line in range(1, 1 + MAIL_BOX.burst + 3 * 4):
        for login in ("alice", new):
            ask(at(line), login)
        if line >= MAIL_BOX.burst:
            clock.advance(hours=8)
    for login in ("alice", new):
        ask(at(100), login)
    before = mailed(), mailed(new)

    ask(at(101), "alice")
    assert mailed() == before[0]
    ask(hers)
    row = addresses.add(alice, new, ClientInfo("10.102.0.1", ""))
    code = canonical_code(outbox()[-1].code)
    assert (mailed(), mailed(new)) == (before[0] + 1, before[1] + 1)
    addresses.confirm_by_code(row, code, Actor(ClientInfo("10.102.0.1", "")))
    assert alice.emails.filter(key=row.key).exists()
    before = mailed(new)
    ask(at(102), new)
    assert mailed(new) == before + 1, "using an email restores what strangers have spent"

    notified = mailed()
    assert staff_act(desk(), alice, "clear-limits", target="mails").status_code == 302
    ask(at(103), "alice")
    assert mailed() == notified + 1


def test_members_flood_no_mailbox(clock):
    """Withstands a flood.

    A taken address gets no more than from strangers; a free one gets what all may cause.
    """
    make_user("alice")
    for number in range(MAIL_MEMBERS.burst + 5):
        member, client = make_user(f"m{number}"), ClientInfo(f"10.{number}.0.1", "")
        for address in ("alice@example.org", "free@example.org"):
            addresses.add(member, address, client)

    assert (mailed(), mailed("free@example.org")) == (MAIL_BOX.burst, MAIL_MEMBERS.burst)


def test_strangers_cannot_invalidate_the_code_for_an_email_that_a_user_adds(clock):
    alice, home = make_user("alice"), ClientInfo("10.0.0.1", "")
    row = addresses.add(alice, "new@example.org", home)
    assert addresses.seconds_to_next_mail(row) == 60
    code = canonical_code(outbox()[-1].code)
    for line in range(1, MAIL_BOX.burst):
        ask(at(line), "new@example.org")
    silence_by_members("new@example.org")
    clock.advance(minutes=1)

    addresses.confirm_by_code(addresses.add(alice, row.email, home), code, Actor(home))
    assert alice.emails.filter(key=row.key).exists()


def test_an_address_is_added_once_by_its_newest_email_and_to_one_account(alice, clock):
    home, bob, new = ClientInfo("10.0.0.1", ""), make_user("bob"), "new@example.org"
    bobs = addresses.add(bob, new, home)
    former = addresses.add(alice, new, home)
    code = canonical_code(outbox()[-1].code)
    with pytest.raises(RateLimited):
        addresses.send_again(former, Actor(home))
    clock.advance(minutes=1)
    row = addresses.add(alice, new, home)
    clock.advance(minutes=1)
    addresses.send_again(row, Actor(home))
    event = alice.activity.latest("id")
    assert (event.kind, event.detail) == ("confirmation_sent", new)
    token = newest_mail(new, "").action_url.split("/")[-2]

    with pytest.raises(WrongCode):
        addresses.confirm_by_code(former, code, Actor(home))
    assert state(alice) == (MINE, {MINE})
    assert addresses.confirm_by_link(row, token, Actor(home)) == alice.emails.get(email=new)
    event = alice.activity.latest("id")
    assert (event.kind, event.detail) == ("address_added", new)
    row.user.refresh_from_db()
    for act in (
        lambda: addresses.confirm_by_link(row, token, Actor(home)),
        lambda: addresses.confirm_by_staff(bobs, Actor(home)),
    ):
        with pytest.raises(WrongCode):
            act()
    clock.advance(minutes=1)
    with pytest.raises(addresses.EmailChangeRefused):
        addresses.send_again(row, Actor(home))
    assert (state(alice), state(bob)[0]) == ((MINE, {MINE, new}), "bob@example.org")


@pytest.mark.parametrize("name, is_restored", [("", True), ("carol", False)])
def test_who_confirms_an_address_gets_back_what_adding_it_has_spent(
    alice, clock, name, is_restored
):
    home = ClientInfo("10.0.0.1", "")
    for _ in range(MAIL_SUBSCRIBER.burst):
        row = addresses.add(alice, "new@example.org", home)
        code = canonical_code(outbox()[-1].code)
        clock.advance(minutes=1)
    with pytest.raises(RateLimited):
        addresses.add(alice, row.email, home)
    addresses.confirm_by_code(row, code, Actor(home, name=name))
    clock.advance(minutes=1)
    addresses.remove(User.objects.get(), alice.emails.get(email=row.email).pk, Actor())

    with nullcontext() if is_restored else pytest.raises(RateLimited):
        addresses.add(User.objects.get(), row.email, home)


def test_an_account_without_a_primary_address_gets_one_and_loses_none(alice):
    alice.save_email("")

    addresses.replace_primary(alice, alice.emails.get(), Actor())

    assert state(alice) == (MINE, {MINE})
