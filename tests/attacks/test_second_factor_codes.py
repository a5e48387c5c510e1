"""Attacks on the codes of second factors."""

import json
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from cryptography.fernet import InvalidToken
from django.core.cache import cache
from django.test import Client

from accounts.activity.models import Activity
from accounts.codes.models import Code
from accounts.common.proofs import Method
from accounts.sessions.models import BrowserSession
from accounts.throttle.limits import (
    CODE_GUESS,
    FACTOR_ACCOUNT,
    FACTOR_SUBSCRIBER,
    FACTOR_SUBSCRIBER_DAY,
)
from accounts.throttle.models import StoredBudget
from accounts.twofactor.models import CODES_PURPOSE, Authenticator, RecoveryCodes
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
from tests.support.signin import signed_in
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

pytestmark = pytest.mark.django_db


FULL_WIDTH = {ord("0") + n: chr(0xFF10 + n) for n in range(10)}
ARABIC = {ord("0") + n: chr(0x0660 + n) for n in range(10)}

# ``int()`` and ``str.isdigit()`` accept all of these as the same number.
WRITINGS = {
    "as it was": lambda code: code,
    "spaces": lambda code: f" {code[:3]} {code[3:]} ",
    "no-break spaces": lambda code: f"\xa0{code[:3]}\u2009{code[3:]}",
    "full width": lambda code: code.translate(FULL_WIDTH),
    "Arabic digits": lambda code: code.translate(ARABIC),
    "mixed digits": lambda code: code[:3].translate(ARABIC) + code[3:].translate(FULL_WIDTH),
    "plus sign": lambda code: f"+{code}",
    "leading zeros": lambda code: f"000{code}",
    "underscores": "_".join,
}


@pytest.mark.parametrize("written", WRITINGS.values(), ids=WRITINGS)
def test_7_4_a_used_code_is_refused_in_every_spelling(written):
    _alice, seed = with_factor()
    first, second = code_of(seed), code_of(seed, 1)

    assert code_signs_in(first)
    assert not code_signs_in(written(first))
    assert [code_signs_in(written(second)), code_signs_in(second)].count(True) == 1


def test_a_code_used_to_reauthenticate_cannot_sign_in():
    alice, seed = with_factor()
    session, code = signed_in(alice), code_of(seed)

    assert session.post("/accounts/reauthenticate/", {"code": code}).status_code == 302
    assert not code_signs_in(code)


def test_the_code_that_enrolled_an_authenticator_cannot_sign_in():
    alice = make_user("alice")
    browser = signed_in(alice)
    code = code_of(seed_on(browser.get(SETUP).text))
    assert browser.post(SETUP, {"code": code}).status_code == 302
    assert factors_of(alice) == 1

    assert not code_signs_in(code)


def test_one_seed_cannot_be_enrolled_twice():
    alice = make_user("alice")
    browser = signed_in(alice)
    seed = seed_on(browser.get(SETUP).text)
    shown = dict(browser.session)
    browser.post(SETUP, {"code": code_of(seed)})

    # The state that a second click finds if it arrives before the first one is saved.
    session = browser.session
    session["totp_seed"] = shown["totp_seed"]
    session.save()
    answer = browser.post(SETUP, {"code": code_of(seed, 1)})

    assert answer.status_code == 200
    assert seed_on(answer.text) == seed
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


def test_a_replay_is_refused_even_after_limits_and_caches_were_flushed():
    _alice, seed = with_factor()
    code = code_of(seed)
    assert code_signs_in(code)

    StoredBudget.objects.all().delete()
    cache.clear()

    assert not code_signs_in(code)


def test_a_code_of_another_user_is_refused():
    alice, _seed = with_factor()
    bob, seed = with_factor("bob")
    theirs = new_recovery_codes(bob)
    new_recovery_codes(alice)

    assert not code_signs_in(code_of(seed, 1), "alice")
    assert not code_signs_in(theirs[0], "alice")
    assert code_signs_in(code_of(seed, 1), "bob"), (
        "an attempt on another account does not use up a code"
    )
    assert code_signs_in(theirs[0], "bob")


def test_a_code_of_a_removed_authenticator_is_refused():
    from accounts.twofactor.models import Authenticator

    alice, seed = with_factor()
    other = enrolled(alice)
    lost = Authenticator.objects.filter(user=alice).earliest("pk")
    assert code_signs_in(code_of(other, -1)), "each of two authenticators works"
    alice.refresh_from_db()
    session = signed_in(alice)

    answer = session.post(f"/accounts/2fa/totp/{lost.pk}/", {"remove": "1"})

    assert answer.status_code == 302
    assert factors_of(alice) == 1
    assert not code_signs_in(code_of(seed))
    assert code_signs_in(code_of(other))


def test_another_users_authenticator_cannot_be_seen_renamed_or_removed():
    from accounts.twofactor.models import Authenticator

    alice, _seed = with_factor()
    row = Authenticator.objects.get(user=alice)
    mallory = signed_in(make_user("mallory"))
    page = f"/accounts/2fa/totp/{row.pk}/"

    statuses = [mallory.get(page).status_code]
    statuses += [mallory.post(page, data).status_code for data in ({"remove": "1"}, {"name": "x"})]

    assert statuses == [404] * 3
    assert Authenticator.objects.get(user=alice).name == row.name


@pytest.mark.parametrize(
    "written",
    [str, str.upper, lambda code: f" {code.replace('-', ' - ')} ".translate(FULL_WIDTH)],
    ids=["as it was", "capitals", "spaces"],
)
def test_a_recovery_code_works_once_in_every_spelling(written):
    alice, _seed = with_factor()
    codes = new_recovery_codes(alice)
    for _ in range(3):
        after_password().post(CHALLENGE, {"code": "bbbbb-bbbbb"})

    assert code_signs_in(written(codes[0])), "wrong codes use up no recovery code"
    assert not code_signs_in(codes[0])
    assert not code_signs_in(written(codes[0]))
    assert code_signs_in(codes[1])


def test_recovery_codes_are_invalid_after_a_new_set_and_without_an_authenticator():
    from accounts.twofactor.models import Authenticator, RecoveryCodes

    alice, _seed = with_factor()
    former = new_recovery_codes(alice)
    latter = new_recovery_codes(alice)
    assert not code_signs_in(former[0])
    assert code_signs_in(latter[0])

    row = Authenticator.objects.get(user=alice)
    assert signed_in(alice).post(f"/accounts/2fa/totp/{row.pk}/", {"remove": "1"}).status_code
    assert not RecoveryCodes.objects.exists()
    alice.refresh_from_db()
    enrolled(alice)

    assert not code_signs_in(latter[1])


def mailed_code(browser):
    """Request a mailed code at the second step and return it."""
    assert browser.post(CHALLENGE, {"mail": "1"}).status_code == 302
    mail = mails_about("code to finish signing in")[-1]
    assert mail.to == "alice@example.org"
    return str(mail.code)


def test_a_mailed_second_step_code_works_once_and_only_in_its_own_browser(clock):
    with_factor()
    asked = after_password()
    code = mailed_code(asked)

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
    codes += ["a" * 20_000, "-" * 64, "aaaaa-aaaaa"]

    for code in codes:
        body = urlencode({"code": code.encode("utf-8", "surrogatepass")})
        answer = browser.post(CHALLENGE, body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in {200, 429}, ascii(code)[:20]
        assert not is_signed_in(browser)


def test_no_authenticator_id_causes_a_server_error():
    browser = signed_in(with_factor()[0])

    for number in ("0", "999999", str(2**63), "9" * 19, "9" * 5000):
        assert browser.get(f"/accounts/2fa/totp/{number}/").status_code == 404
        assert browser.post(f"/accounts/2fa/totp/{number}/", {"remove": "1"}).status_code == 404


GUESSES = FACTOR_SUBSCRIBER.burst
HOME = "203.0.113.5"
BLOCKED = "too many wrong codes"


def guess(browser, code=WRONG_DIGITS):
    return int(browser.post(CHALLENGE, {"code": code}).status_code)


def guesses(n, *, first=1, line=0, code=WRONG_DIGITS):
    """Guess ``n`` times, each in a new sign-in from another IP address; return the statuses."""
    addresses = (f"10.{line}.0.{i}" for i in range(first, first + n))
    return [guess(after_password(REMOTE_ADDR=address), code) for address in addresses]


def test_7_5_cve_2025_64102_signing_in_again_gives_no_new_guesses(clock):
    _alice, seed = with_factor()

    assert guesses(GUESSES + 1) == [200] * GUESSES + [429]
    refused = after_password(REMOTE_ADDR="10.0.0.99").post(CHALLENGE, {"code": code_of(seed)})
    assert refused.status_code == 429
    assert refused["Retry-After"] == "60"

    clock.advance(seconds=60)
    assert code_signs_in(code_of(seed), REMOTE_ADDR="10.0.0.99")


def test_only_time_restores_guesses(clock):
    with_factor()
    make_user("mallory")
    asked, gone = after_password(), after_password()
    assert guesses(GUESSES) == [200] * GUESSES

    sign_in(Client(), "alice")
    sign_in(Client(), "mallory")
    Client().post("/accounts/login/code/", {"login": "alice"})
    asked.get(CHALLENGE)
    asked.post(CHALLENGE, {"mail": "1"})
    gone.post("/accounts/logout/")

    assert guesses(1, first=20) == [429]


def test_a_successful_second_step_restores_no_guesses(clock):
    _alice, seed = with_factor()

    assert guesses(GUESSES - 1) == [200] * (GUESSES - 1)
    assert code_signs_in(code_of(seed), REMOTE_ADDR=HOME)

    assert guesses(2, first=20) == [200, 429]


def test_guesses_in_every_spelling_and_on_every_page_are_counted(clock):
    alice, _seed = with_factor()
    make_user("bob")
    session = signed_in(alice, by=[Method.PASSWORD, Method.MAIL])
    Client().post("/accounts/password/reset/", {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    mailed = after_password()
    mailed.post(CHALLENGE, {"mail": "1"})

    statuses = [
        guess(after_password(), "000 000"),
        guess(after_password(), "\u0660" * 6),
        guess(mailed, "000-000"),
        session.post(REAUTHENTICATE, {"code": "000000"}).status_code,
        Client().post(link, {"code": "000000"}).status_code,
    ]

    assert statuses == [200] * GUESSES
    assert session.post(REAUTHENTICATE, {"code": "000000"}).status_code == 429
    assert Client().post(link, {"code": "000000"}).status_code == 429
    assert guess(after_password()) == 429


@pytest.mark.parametrize("code", ["aaaaa-aaaaa", "0000 0000"])
def test_guesses_at_recovery_and_mailed_codes_are_limited_by_network(clock, code):
    """These codes are too long to guess, so the guesses do not count for the account."""
    _alice, seed = with_factor()
    mallory = after_password()
    mallory.post(CHALLENGE, {"mail": "1"})

    statuses = [guess(mallory, code) for _ in range(CODE_GUESS.burst + 1)]

    assert statuses == [200] * CODE_GUESS.burst + [429]
    assert not is_signed_in(mallory)
    assert code_signs_in(code_of(seed), REMOTE_ADDR=HOME)


def test_second_factor_guesses_from_elsewhere_do_not_block_a_known_browser(clock):
    _alice, seed = with_factor()
    hers = after_password()
    guess(hers, code_of(seed))
    assert is_signed_in(hers)
    hers.post("/accounts/logout/")
    for line in range(2):
        assert guesses(GUESSES + 1, line=line) == [200] * GUESSES + [429]
    assert code_signs_in(code_of(seed, 1), REMOTE_ADDR="10.9.0.1"), (
        "two networks do not use up the account's guesses"
    )
    for line in range(2, 6):
        guesses(GUESSES, line=line)

    clock.advance(minutes=1)
    assert guess(after_password(REMOTE_ADDR="10.9.0.1"), code_of(seed)) == 429
    assert guess(after_password(browser=hers), code_of(seed)) == 302
    hers.post("/accounts/logout/")
    statuses = [guess(after_password(browser=hers)) for _ in range(GUESSES + 1)]
    assert statuses == [200] * GUESSES + [429], "guesses from a known browser are limited, too"


def test_a_browser_known_by_a_mailed_code_only_has_no_guesses_of_its_own(clock):
    _alice, seed = with_factor()
    browser = after_password()
    browser.post(CHALLENGE, {"mail": "1"})
    guess(browser, str(mails_about("code")[-1].code))
    assert is_signed_in(browser)
    browser.post("/accounts/logout/")
    assert [guess(after_password()) for _ in range(GUESSES)] == [200] * GUESSES

    assert guess(after_password(browser=browser), code_of(seed)) == 429


def test_a_patient_attacker_has_thirty_guesses_and_then_one_every_48_minutes(clock):
    """One wide network has only twelve of them, so that it cannot block the owner."""
    with_factor()
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


def test_one_ip_address_cannot_guess_at_many_accounts(clock):
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


def test_guesses_do_not_block_the_browser_in_which_the_factor_was_added(clock):
    home = signed_in(make_user("alice"))
    seed = seed_on(home.get(SETUP).text)
    assert home.post(SETUP, {"code": code_of(seed)}).status_code == 302
    codes = recovery_codes_on(home.get(RECOVERY_CODES).text)

    clock.advance(minutes=2)
    for line in range(6):
        guesses(GUESSES, line=line)
    home.post("/accounts/logout/")

    assert guess(after_password(browser=home), code_of(seed)) == 302
    assert code_signs_in(codes[0], REMOTE_ADDR="203.0.113.7"), (
        "recovery codes work in every network"
    )


def test_a_few_wrong_codes_in_a_session_send_no_mail(clock):
    alice, _seed = with_factor()
    browser = signed_in(alice)
    before = len(outbox())

    for _ in range(4):
        browser.post(REAUTHENTICATE, {"code": WRONG_DIGITS})

    assert len(outbox()) == before
    kinds = set(Activity.objects.filter(user=alice).values_list("kind", flat=True))
    assert "proof_failed" in kinds
    assert not {"factor_failed", "factor_failed_new", "factor_blocked"} & kinds


def test_a_thief_with_the_password_cannot_use_up_the_mailed_codes_of_a_known_browser(clock):
    _alice, seed = with_factor()
    hers = after_password(REMOTE_ADDR=HOME)
    assert hers.post(CHALLENGE, {"code": code_of(seed)}).status_code == 302
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
    from accounts.common import crypto

    stored = json.loads(crypto.unseal(RecoveryCodes.objects.get(user=user).sealed, CODES_PURPOSE))
    return {text.encode() for text in [stored["salt"], *stored["digests"]]}


def test_no_database_row_contains_a_seed_a_recovery_code_or_its_digest():
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


def test_a_value_encrypted_for_one_purpose_cannot_be_decrypted_for_another():
    from accounts.common import crypto

    alice, seed = with_factor()
    sealed = Authenticator.objects.get(user=alice).sealed_seed
    assert crypto.unseal(sealed, "totp.seed") == seed

    for purpose in (CODES_PURPOSE, "totp_seed", "recovery_codes", "mail"):
        with pytest.raises(InvalidToken):
            crypto.unseal(sealed, purpose)


def test_11_3_no_admin_page_shows_a_seed_a_digest_or_a_code():
    from django.contrib import admin

    tables = {model.__name__ for site in admin.sites.all_sites for model in site._registry}
    assert tables == {"User", "Group", "Invitation", "DailyCount", "Client", "RegistrationToken"}
    alice, seed = with_factor()
    codes = new_recovery_codes(alice)
    after_password().post(CHALLENGE, {"lost": "ask"})
    link = path_of(mails_about("remove your second factors")[-1].action_url)
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


def test_recovery_codes_are_shown_once_and_to_no_other_user():
    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.post(RECOVERY_CODES, {"new": "1"})
    page = browser.get(RECOVERY_CODES).text
    codes, shown = recovery_codes_on(page), {"shown": shown_on(page)}
    alice.refresh_from_db()
    elsewhere, mallory = signed_in(alice), signed_in(make_user("mallory"))

    for other in (browser, elsewhere, mallory):
        assert recovery_codes_on(other.get(RECOVERY_CODES, follow=True).text) == []
        assert codes[0] not in other.post(f"{RECOVERY_CODES}file/", follow=True).text
    for forged in (shown, {"shown": "forged"}, {"shown": "\xe9\0"}, {"shown": shown["shown"][:-9]}):
        answer = mallory.post(RECOVERY_CODES, {"code": "", **forged}, follow=True)
        assert recovery_codes_on(answer.text) == [], forged
        assert codes[0] not in mallory.post(f"{RECOVERY_CODES}file/", forged, follow=True).text
    browser.post("/accounts/logout/")
    sign_in(browser, "mallory")
    assert recovery_codes_on(browser.get(RECOVERY_CODES, follow=True).text) == []


def test_the_codes_of_a_page_that_was_left_open_are_not_downloaded_later(clock):
    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.post(RECOVERY_CODES, {"new": "1"})
    shown = {"shown": shown_on(browser.get(RECOVERY_CODES).text)}
    clock.advance(minutes=15)

    assert browser.post(f"{RECOVERY_CODES}file/", shown).status_code == 302
