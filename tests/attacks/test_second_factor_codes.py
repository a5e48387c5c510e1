"""Attacks on the codes of second factors."""

import json
from functools import partial
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.test import Client

from accounts.activity.services import Actor
from accounts.codes.models import Code
from accounts.common import crypto
from accounts.common.proofs import Method
from accounts.sessions.models import BrowserSession
from accounts.throttle.limits import (
    CODE_GUESS,
    FACTOR_ACCOUNT,
    FACTOR_SUBSCRIBER,
    FACTOR_SUBSCRIBER_DAY,
)
from accounts.throttle.models import StoredBudget
from accounts.twofactor import verification
from accounts.twofactor.errors import UnreadableFactor, WrongFactorCode, WrongSingleUseCode
from accounts.twofactor.models import CODES_PURPOSE, IMPORTED_CODES, Authenticator, RecoveryCodes
from accounts.twofactor.services import devices
from tests.support.api import second_step
from tests.support.api_steps import first_step
from tests.support.disputes import asks_to_wait, reset_link
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    enrolled,
    recovery_codes_on,
    seed_on,
    shown_on,
)
from tests.support.second_steps import (
    REAUTHENTICATE,
    WRONG_DIGITS,
    after_password,
    code_signs_in,
    factors_of,
    mails_about,
    new_recovery_codes,
    with_factor,
)
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    LOGOUT,
    is_signed_in,
    make_staff,
    make_user,
    outbox,
    path_of,
    sign_in,
)
from tests.support.stored import encodings_of_seed, everything_stored
from tests.support.urls import ROUTES, address
from tests.support.webauthn import registered

FULL_WIDTH = {ord("0") + n: chr(0xFF10 + n) for n in range(10)}
ARABIC = {ord("0") + n: chr(0x0660 + n) for n in range(10)}

# ``int()`` and ``str.isdigit()`` accept all of these as the same number.
WRITINGS = {
    "as it was": lambda code: code,
    "no-break spaces": lambda code: f" \xa0{code[:3]}\u2009{code[3:]}",
    "mixed digits": lambda code: code[:3].translate(ARABIC) + code[3:].translate(FULL_WIDTH),
    "plus sign": lambda code: f"+{code}",
    "leading zeros": lambda code: f"000{code}",
    "underscores": "_".join,
}


@proves("63B-2.2.2", "63B-3.1.4.2-a", "V6.5.1")
@pytest.mark.parametrize("written", WRITINGS.values(), ids=WRITINGS)
def test_7_4_a_used_code_is_refused_in_every_spelling(written):
    """Withstands a guesser."""
    _alice, seed = with_factor()
    first, second = code_of(seed), code_of(seed, 1)

    assert code_signs_in(first)
    StoredBudget.objects.all().delete()
    cache.clear()
    assert not code_signs_in(written(first)), "nor after limits and caches were flushed"
    assert [code_signs_in(written(second)), code_signs_in(second)].count(True) == 1


def test_a_code_or_seed_that_enrolled_an_authenticator_is_used_up():
    alice = make_user("alice")
    browser = signed_in(alice)
    seed = seed_on(browser.get(SETUP).text)
    shown = dict(browser.session)
    assert browser.post(SETUP, {"code": code_of(seed)}).status_code == 302

    assert not code_signs_in(code_of(seed))
    # The state that a second click finds if it arrives before the first one is saved.
    session = browser.session
    session["totp_seed"] = shown["totp_seed"]
    session.save()
    assert seed_on(browser.post(SETUP, {"code": code_of(seed, 1)}).text) == seed
    assert factors_of(alice) == 1


def test_no_earlier_code_is_accepted_once_a_later_one_was_used(clock):
    _alice, seed = with_factor()
    before, now, after = (code_of(seed, steps) for steps in (-1, 0, 1))

    assert code_signs_in(after)
    assert not code_signs_in(now)
    assert not code_signs_in(before)
    clock.advance(seconds=30)
    assert not code_signs_in(after), "the code is current now, but used"
    clock.advance(seconds=30)
    assert code_signs_in(code_of(seed))


def test_a_code_of_another_user_is_refused():
    """Withstands another member."""
    alice, _seed = with_factor()
    bob, seed = with_factor("bob")
    theirs = new_recovery_codes(bob)
    new_recovery_codes(alice)

    for code in (code_of(seed, 1), theirs[0]):
        assert not code_signs_in(code, "alice")
        assert code_signs_in(code, "bob"), "an attempt on another account uses up no code"


def test_codes_of_a_removed_authenticator_or_of_a_former_set_are_refused():
    """Withstands a thief with a second factor."""
    alice, seed = with_factor()
    other = enrolled(alice)
    former, latter = new_recovery_codes(alice), new_recovery_codes(alice)
    lost, last = (f"/accounts/2fa/totp/{row.pk}/" for row in alice.authenticator_set.order_by("pk"))
    assert code_signs_in(code_of(other, -1)), "each of two authenticators works"
    session = signed_in(alice)

    assert session.post(lost, {"remove": "1"}).status_code == 302
    assert not code_signs_in(code_of(seed))
    assert code_signs_in(code_of(other))
    assert not code_signs_in(former[0])
    assert code_signs_in(latter[0])

    session.post(last, {"remove": "1"})
    assert not RecoveryCodes.objects.exists()


@pytest.mark.parametrize("kind, give", [("totp", enrolled), ("passkeys", registered)])
def test_another_users_factor_cannot_be_seen_renamed_or_removed(kind, give):
    alice = make_user("alice")
    give(alice)
    (row,) = devices(alice)
    mallory, acts = signed_in(make_user("mallory")), ("remove", "name")

    for number in (row.pk, 0, 2**63, "9" * 5000):
        page = f"/accounts/2fa/{kind}/{number}/"
        answers = [mallory.get(page), *(mallory.post(page, {act: "1"}) for act in acts)]
        assert [answer.status_code for answer in answers] == [404] * 3

    row.refresh_from_db()
    assert row.name == "Phone"


@proves("63B-3.1.2")
@pytest.mark.parametrize(
    "written",
    [str, str.upper, lambda code: f" {code.replace('-', ' - ')} ".translate(FULL_WIDTH)],
    ids=["as it was", "capitals", "spaces"],
)
def test_a_recovery_code_works_once_in_every_spelling(written):
    """Withstands a thief with a second factor."""
    alice, _seed = with_factor()
    codes = new_recovery_codes(alice)
    for _ in range(3):
        after_password().post(CHALLENGE, {"code": "bbbbb-bbbbb"})

    assert code_signs_in(written(codes[0])), "wrong codes use up no recovery code"
    assert not code_signs_in(codes[0])
    assert not code_signs_in(written(codes[0]))
    assert code_signs_in(codes[1])


def mailed_code(browser):
    """Request a mailed code at the second step and return it."""
    assert browser.post(CHALLENGE, {"mail": "1"}).status_code == 302
    mail = mails_about("code to finish signing in")[-1]
    assert mail.to == "alice@example.org"
    return str(mail.code)


def test_a_mailed_second_step_code_works_once_and_only_in_its_own_browser(clock):
    """Withstands a thief with the mailbox."""
    with_factor()
    asked = after_password()
    code = mailed_code(asked)

    assert "We’ve emailed a code" in asked.get(CHALLENGE).text
    assert not code_signs_in(code), "a code does not work in another browser"
    asked.post(CHALLENGE, {"code": code})
    assert is_signed_in(asked)
    clock.advance(minutes=1)
    again = after_password()
    mailed_code(again)
    again.post(CHALLENGE, {"code": code})
    assert not is_signed_in(again)


def test_a_mailed_sign_in_code_is_no_second_step_and_the_other_way_round():
    with_factor()
    by_mail = Client()
    by_mail.post("/accounts/login/code/", {"login": "alice"})
    first = str(mails_about("code to sign in")[-1].code)
    asked = after_password()
    second = mailed_code(asked)

    asked.post(CHALLENGE, {"code": first})
    assert not is_signed_in(asked)
    assert by_mail.post("/accounts/login/code/", {"code": second}).status_code == 200
    asked.post(CHALLENGE, {"code": second})
    assert is_signed_in(asked), "the wrong attempts have not used up the code"


def test_no_typed_code_causes_a_server_error():
    with_factor()
    browser = after_password()
    codes = ["", "\0" * 6, "12345", "²³¹²³¹", "①②③④⑤⑥", "1e5000", "\ud800" * 6, "nan000"]

    for code in [*codes, "a" * 20_000, "-" * 64]:
        body = urlencode({"code": code.encode("utf-8", "surrogatepass")})
        answer = browser.post(CHALLENGE, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in {200, 429}, ascii(code)[:20]
        assert not is_signed_in(browser)


GUESSES = FACTOR_SUBSCRIBER.burst
HOME = "203.0.113.5"
BLOCKED = "too many wrong codes"


def guess(browser, code=WRONG_DIGITS):
    return int(browser.post(CHALLENGE, {"code": code}).status_code)


def guesses(n, *, first=1, line=0):
    """Guess ``n`` times, each in a new sign-in from another IP address; return the statuses."""
    addresses = (f"10.{line}.0.{i}" for i in range(first, first + n))
    return [guess(after_password(REMOTE_ADDR=address)) for address in addresses]


def test_7_5_cve_2025_64102_signing_in_again_gives_no_new_guesses(clock):
    """Withstands a guesser."""
    _alice, seed = with_factor()
    make_user("mallory")
    asked, gone = after_password(), after_password()
    assert guesses(GUESSES - 1) == [200] * (GUESSES - 1)
    assert code_signs_in(code_of(seed), REMOTE_ADDR="10.0.0.99")
    assert guesses(2, first=20) == [200, 429], "a success restores no guesses"

    sign_in(Client(), "mallory")
    Client().post("/accounts/login/code/", {"login": "alice"})
    asked.post(CHALLENGE, {"mail": "1"})
    gone.post(LOGOUT)

    refused = after_password(REMOTE_ADDR="10.0.0.99").post(CHALLENGE, {"code": code_of(seed, 1)})
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    clock.advance(seconds=60)
    assert code_signs_in(code_of(seed), REMOTE_ADDR="10.0.0.99")


def test_guesses_in_every_spelling_on_every_page_and_over_the_api_are_counted(clock):
    alice, _seed = with_factor()
    session = signed_in(alice, by=[Method.PASSWORD, Method.MAIL])
    Client().post("/accounts/password/reset/", {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    mailed = after_password()
    mailed.post(CHALLENGE, {"mail": "1"})

    statuses = [
        200 if second_step(first_step(), WRONG_DIGITS).code == "invalid_code" else 0,
        guess(after_password(), "\u0660" * 6),
        guess(mailed, "000-000"),
        session.post(REAUTHENTICATE, {"code": "000000"}).status_code,
        Client().post(link, {"code": "000000"}).status_code,
    ]

    assert statuses == [200] * GUESSES
    assert second_step(first_step(), WRONG_DIGITS).short == (429, "throttled")
    assert session.post(REAUTHENTICATE, {"code": "000000"}).status_code == 429
    assert Client().post(link, {"code": "000000"}).status_code == 429
    assert guess(after_password()) == 429


@pytest.mark.parametrize("code", ["aaaaa-aaaaa", "0000 0000"])
def test_guesses_at_recovery_and_mailed_codes_are_limited_by_network(clock, code):
    """These codes are too long to guess, so the guesses do not count for the account."""
    alice, seed = with_factor()
    new_recovery_codes(alice)
    RecoveryCodes.objects.create(user=make_user("bob"), name=IMPORTED_CODES, sealed="")
    mallory = after_password()
    mallory.post(CHALLENGE, {"mail": "1"})

    statuses = [guess(mallory, code) for _ in range(CODE_GUESS.burst + 1)]

    assert statuses == [200] * CODE_GUESS.burst + [429]
    assert not is_signed_in(mallory)
    assert not alice.activity.filter(kind="factor_blocked").exists()
    assert code_signs_in(code_of(seed), REMOTE_ADDR=HOME)


def test_each_known_browser_has_one_budget_for_wrong_emailed_and_recovery_codes(clock, settings):
    set_up(settings, limits_scale=3 / CODE_GUESS.burst)
    alice, _seed = with_factor()
    here, other = signed_in(alice), signed_in(alice)
    for browser in (here, other):
        browser.post(LOGOUT)
    for posted in ({"login": "alice"}, {"code": "00000000"}):
        here.post("/accounts/login/code/", posted)

    assert [guess(after_password(browser=here), "aaaaa-aaaaa") for _ in range(3)] == [200, 200, 429]
    assert guess(after_password(browser=other), "aaaaa-aaaaa") == 200


@pytest.mark.parametrize(
    "lost, refusals",
    [
        (Authenticator, [UnreadableFactor, WrongSingleUseCode, WrongSingleUseCode]),
        (RecoveryCodes, [WrongFactorCode, UnreadableFactor, WrongSingleUseCode]),
    ],
    ids=["app", "recovery codes"],
)
def test_a_lost_key_is_the_reason_only_for_refusing_codes_that_cannot_be_checked(lost, refusals):
    alice, _seed = with_factor()
    new_recovery_codes(alice)
    lost.objects.update(**{"sealed_seed" if lost is Authenticator else "sealed": ""})

    for code, refusal in zip((WRONG_DIGITS, "aaaaa-aaaa-aaaa", "00000000"), refusals, strict=True):
        with pytest.raises(WrongFactorCode) as refused:
            verification.verify(alice, code, Actor())
        assert refused.type is refusal


def by_a_code(*, is_mailed=False):
    """Return a browser in which alice has shown a second factor, and her seed."""
    _alice, seed = with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"code": mailed_code(browser) if is_mailed else code_of(seed)})
    return browser, seed


def by_adding_it():
    browser = signed_in(make_user("alice"))
    seed = seed_on(browser.get(SETUP).text)
    browser.post(SETUP, {"code": code_of(seed)})
    return browser, seed


@pytest.mark.parametrize(
    "known, status",
    [(by_a_code, 302), (by_adding_it, 302), (partial(by_a_code, is_mailed=True), 429)],
    ids=["code", "adding", "mailed code"],
)
def test_guesses_elsewhere_block_no_browser_in_which_the_factor_was_shown(clock, known, status):
    """Withstands a guesser."""
    browser, seed = known()
    assert is_signed_in(browser)
    browser.post(LOGOUT)
    clock.advance(minutes=2)
    for line in range(FACTOR_ACCOUNT.burst // GUESSES):
        assert guesses(GUESSES, line=line) == [200] * GUESSES

    assert guess(after_password(REMOTE_ADDR="10.9.0.1"), code_of(seed)) == 429
    assert guess(after_password(browser=browser), code_of(seed)) == status


def test_wrong_codes_from_a_known_browser_are_limited_too(clock):
    browser, _seed = by_a_code()
    browser.post(LOGOUT)

    statuses = [guess(after_password(browser=browser)) for _ in range(GUESSES + 1)]

    assert statuses == [200] * GUESSES + [429]
    assert not mails_about("failed at the second"), "probably the owner has mistyped them"


@proves("63B-3.1.4.2-b", "63B-3.2.2")
def test_a_patient_attacker_has_thirty_guesses_and_then_one_every_48_minutes(clock):
    """Withstands a guesser.

    One wide network has only twelve of them, so that it cannot block the owner.
    """
    alice, _seed = with_factor()
    statuses = []
    for i in range(FACTOR_SUBSCRIBER_DAY.burst):
        for line in (0, 1, 2) if i < 9 else (0,):
            statuses.append(guess(after_password(REMOTE_ADDR=f"10.{line}.0.{i}")))
        clock.advance(minutes=1)
    refused = after_password(REMOTE_ADDR="10.3.0.1").post(CHALLENGE, {"code": WRONG_DIGITS})

    assert statuses == [200] * FACTOR_ACCOUNT.burst
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) == FACTOR_ACCOUNT.per
    clock.advance(seconds=FACTOR_ACCOUNT.per)
    statuses = [guess(after_password(REMOTE_ADDR=f"10.{line}.0.1")) for line in (0, 3, 3)]
    assert statuses == [429, 200, 429]
    assert code_signs_in(new_recovery_codes(alice)[0]), "a recovery code cannot be guessed"


def test_one_ip_address_cannot_guess_the_codes_of_many_accounts(clock):
    names = [f"person{i}" for i in range(CODE_GUESS.burst // GUESSES + 1)]
    for name in names:
        with_factor(name)
    browsers = {name: after_password(name) for name in names}

    statuses = [guess(browsers[name]) for name in names for _ in range(GUESSES)]

    assert statuses == [200] * CODE_GUESS.burst + [429] * GUESSES


def test_the_owner_is_mailed_at_most_once_an_hour_about_guesses(clock):
    alice, _seed = with_factor()

    guesses(GUESSES + 3)
    assert [mail.to for mail in mails_about(BLOCKED)] == ["alice@example.org"]
    assert alice.activity.filter(kind="factor_failed_new").count() == 1
    assert alice.activity.filter(kind="factor_failed").count() == GUESSES - 1

    before = alice.activity.count()
    assert guesses(5, first=40) == [429] * 5
    assert alice.activity.count() == before, "refused guesses are not recorded"

    clock.advance(minutes=61)
    guesses(GUESSES + 3, first=30)
    assert len(mails_about(BLOCKED)) == 2
    assert len(mails_about("failed at the second")) == 1
    clock.advance(days=1)
    guesses(1)
    assert len(mails_about("failed at the second")) == 2, "the mail is sent once a day"


def test_a_few_wrong_codes_in_a_session_send_no_mail(clock):
    """Withstands an accident."""
    alice, _seed = with_factor()
    browser = signed_in(alice)
    before = len(outbox())

    for _ in range(4):
        browser.post(REAUTHENTICATE, {"code": WRONG_DIGITS})

    assert len(outbox()) == before
    assert browser.post(REAUTHENTICATE, {"code": WRONG_DIGITS}).status_code == 200
    assert browser.post(REAUTHENTICATE, {"code": WRONG_DIGITS}).status_code == 429
    assert not alice.activity.filter(kind__startswith="factor_").exists()


def test_a_thief_with_the_password_cannot_use_up_the_mailed_codes_of_a_known_browser(clock):
    """Withstands a thief with the password."""
    hers, _seed = by_a_code()
    hers.post(LOGOUT)
    for line in range(4):
        thieves = [after_password(REMOTE_ADDR=f"10.{line}.0.{i}") for i in range(1, 11)]
        assert [thief.post(CHALLENGE, {"mail": "1"}).status_code for thief in thieves] == [302] * 10
    assert after_password(REMOTE_ADDR="10.9.0.1").post(CHALLENGE, {"mail": "1"}).status_code == 429

    sign_in(hers, "alice")
    assert hers.post(CHALLENGE, {"mail": "1"}).status_code == 302


def spellings_of_codes(codes):
    """Return the spellings of recovery codes and their digests without a salt."""
    bare = [code.replace("-", "") for code in codes]
    digests = [sha256(code.encode()).hexdigest() for code in [*codes, *bare]]
    return {text.encode() for text in [*codes, *bare, *digests]}


def salted_digests(user):
    """Return the salt and the digests that the site compares with, which are encrypted, too."""
    stored = json.loads(crypto.unseal(RecoveryCodes.objects.get(user=user).sealed, CODES_PURPOSE))
    return {text.encode() for text in [stored["salt"], *stored["digests"]]}


@proves("63B-3.1.4.2-b", "V6.5.2")
def test_no_database_row_contains_a_seed_a_recovery_code_or_its_digest():
    """Withstands a thief with the database."""
    carol = make_staff("carol", has_factor=False)
    browser = after_password("carol")
    seed = seed_on(browser.get(SETUP).text)
    while_enrolling = everything_stored()
    browser.post(SETUP, {"code": code_of(seed)})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    while_shown = everything_stored()
    browser.post(RECOVERY_CODES, {"code": codes[0]})
    afterwards = everything_stored()
    assert len(codes) == 10

    hidden = encodings_of_seed(seed) | spellings_of_codes(codes) | salted_digests(carol)
    assert b"carol" in while_enrolling
    for dump in (while_enrolling, while_shown, afterwards):
        assert [text for text in hidden if text in dump] == []


def test_11_3_no_admin_page_shows_a_seed_a_digest_or_a_code():
    """Withstands a member of staff."""
    tables = {model.__name__ for site in admin.sites.all_sites for model in site._registry}
    assert tables == {
        *("User", "Group", "Invitation", "DailyCount"),
        *("Client", "RegistrationToken", "Endpoint", "Directory"),
    }
    alice, seed = with_factor()
    codes = new_recovery_codes(alice)
    asks_to_wait(Client(), reset_link())
    link = path_of(mails_about("remove your passkeys and authenticator apps")[-1].action_url)
    carol = make_staff("carol", has_factor=False)
    browser = signed_in(carol)
    rows = [
        *(Authenticator.objects.values_list("sealed_seed", flat=True)),
        *(RecoveryCodes.objects.values_list("sealed", flat=True)),
        *(Code.objects.values_list("digest", flat=True)),
        *(BrowserSession.objects.values_list("session_key", flat=True)),
        alice.password,
        alice.password.rpartition("$")[2],
    ]
    hidden = encodings_of_seed(seed) | spellings_of_codes(codes) | salted_digests(alice)
    hidden |= {row.encode() for row in rows} | {link.rstrip("/").rpartition("/")[2].encode()}

    pages = [address(route) for route in ROUTES if route.startswith("admin/")]
    pages += [
        f"/admin/accounts/user/{user.pk}/{page}/"
        for user in (alice, carol)
        for page in ("change", "history", "delete")
    ]
    shown = [browser.get(page, follow=True).content for page in pages]
    shown.append(browser.get("/admin/accounts/user/", {"q": "alice"}).content)

    assert sum(b"alice" in page for page in shown) >= 3
    for page in shown:
        assert [text for text in hidden if text in page] == []


def test_recovery_codes_are_shown_once_and_to_no_other_user(clock):
    """Withstands a spy."""
    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.post(RECOVERY_CODES, {"new": "1"})
    page = browser.get(RECOVERY_CODES).text
    codes, shown = recovery_codes_on(page), {"shown": shown_on(page)}
    alice.refresh_from_db()
    elsewhere, mallory = signed_in(alice), signed_in(make_user("mallory"))

    for other in (browser, elsewhere, mallory):
        assert recovery_codes_on(other.get(RECOVERY_CODES, follow=True).text) == []
    for forged in (shown, {}, {"shown": "\xe9\0"}, {"shown": shown["shown"][:-9]}):
        answer = mallory.post(RECOVERY_CODES, {"code": "", **forged}, follow=True)
        assert recovery_codes_on(answer.text) == [], forged
        assert mallory.post(f"{RECOVERY_CODES}file/", forged).status_code == 302, forged
    assert codes[0] in browser.post(f"{RECOVERY_CODES}file/", shown).text
    clock.advance(minutes=15)
    assert browser.post(f"{RECOVERY_CODES}file/", shown).status_code == 302
