"""Attacks with passkeys and on them."""

import pytest
from django.conf import settings as site_settings
from django.test import Client
from webauthn.helpers import bytes_to_base64url

from accounts.activity.models import Activity
from accounts.codes.models import UsedOnce
from accounts.ops import public_views as owners
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.signin import views as view
from accounts.throttle.limits import UNGUESSABLE
from accounts.twofactor.models import Passkey as Row
from accounts.users import services as users
from accounts.users.models import PendingSignup, User
from tests.support.passkeys import (
    REAUTHENTICATE,
    add_passkey,
    completes_sign_in,
    options_of,
    owner,
    passkeys_of,
    person,
    post_credential,
    signs_in,
    times_in_history,
)
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    enrolled,
    recovery_codes_on,
    unused_code,
)
from tests.support.second_steps import RESET, after_password, needs_second_step, trusting_browser
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    SIGNUP,
    by_mail,
    is_signed_in,
    outbox,
    path_of,
    sign_in,
)
from tests.support.webauthn import (
    ADD,
    ELIGIBLE,
    LOGIN_PASSKEY,
    PRESENT,
    VERIFIED,
    WRONG_RESPONSES,
    Passkey,
    registered,
)

ORIGIN = site_settings.AUTHSITE.origin


@proves("63B-2.2.1")
def test_a_passkey_signs_in_without_a_second_step():
    alice, passkey = owner()
    enrolled(alice)

    assert signs_in(passkey)

    login = LoginSession.objects.get(user=alice)
    assert (login.amr, login.acr) == (["passkey"], "aal2")


def test_viewing_or_failing_the_passkey_sign_in_creates_no_row_and_no_session(
    django_assert_num_queries,
):
    """Withstands a flood."""
    _alice, passkey = owner()
    browser = Client()
    with django_assert_num_queries(0):
        options = options_of(browser)
    assert set(browser.cookies) == {"csrftoken"}
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials"), "a list would reveal who has a passkey"

    post_credential(browser, passkey.get(options, origin="https://evil.example"))

    assert "sessionid" not in browser.cookies
    assert [t.objects.count() for t in (BrowserSession, UsedOnce)] == [0, 0]
    assert browser.get(f"{LOGIN_PASSKEY}?next=/help/").url == f"{LOGIN}?next=/help/"


@proves("V6.7.2", "63B-3.2.7")
def test_cve_2022_42731_a_passkey_challenge_works_once(clock):
    """Withstands a forger.

    An answer that is sent twice does not mean that the passkey was copied.
    """
    alice, passkey = owner(counts=True)
    browser = Client()
    answer = passkey.get(options_of(browser))
    post_credential(browser, answer)
    assert is_signed_in(browser)
    thief = Client()
    post_credential(thief, answer)
    assert not is_signed_in(thief)
    assert times_in_history(alice, "passkey_suspect") == 0

    answer = passkey.get(options_of(browser, REAUTHENTICATE))
    clock.advance(minutes=4)
    assert post_credential(browser, answer, REAUTHENTICATE).status_code == 302
    assert post_credential(browser, answer, REAUTHENTICATE).status_code == 200
    assert times_in_history(alice, "proof_given") == 1


def test_a_passkey_challenge_works_only_for_its_own_purpose_and_user():
    alice, passkey = owner()
    _bob, bobs = owner("bob")
    session = signed_in(alice)
    for_login = options_of(Client())
    for_second = options_of(after_password(), CHALLENGE)
    for_bob = options_of(after_password("bob"), CHALLENGE)
    for_adding = {**for_login, "challenge": options_of(session, ADD)["challenge"]}

    for options in (for_second, for_bob, for_adding):
        browser = Client()
        post_credential(browser, passkey.get(options))
        assert not is_signed_in(browser)
    for options in (for_login, for_bob, for_adding):
        assert not completes_sign_in(after_password(), passkey.get(options))
    for options in (for_login, for_second, for_bob):
        new = Passkey()
        creation = {**options_of(session, ADD), "challenge": options["challenge"]}
        assert post_credential(session, new.create(creation), ADD).status_code == 200
        assert not Row.objects.filter(credential_id=new.id).exists()
    assert completes_sign_in(after_password("bob"), bobs.get(for_bob)), (
        "the challenge is valid for its own purpose"
    )


def test_a_passkey_challenge_is_invalid_after_a_change_of_the_account():
    alice, passkey = owner()
    session = signed_in(alice)
    for_second, for_adding = options_of(after_password(), CHALLENGE), options_of(session, ADD)
    users.void_proofs_and_links(alice)

    assert not completes_sign_in(after_password(), passkey.get(for_second))
    new = Passkey()
    assert post_credential(session, new.create(for_adding), ADD).status_code == 200
    assert not Row.objects.filter(credential_id=new.id).exists()


@proves("63B-3.2.5")
def test_an_answer_signed_for_another_site_or_purpose_is_refused(settings):
    """Withstands a hostile website."""
    set_up(settings, limits_scale=1000)
    _alice, passkey = owner()
    browser = after_password()

    def is_second_step(**changes):
        return completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE), **changes))

    assert [
        wrong for wrong, changes in WRONG_RESPONSES.items() if signs_in(passkey, **changes)
    ] == []
    assert [wrong for wrong, changes in WRONG_RESPONSES.items() if is_second_step(**changes)] == []
    assert signs_in(passkey)
    assert is_second_step()


def test_a_passkey_works_at_the_listed_origins_and_the_site_names_them(settings):
    """Withstands a hostile website."""
    further = "https://shop.example.org"
    _alice, passkey = owner()
    assert not signs_in(passkey, origin=further)

    set_up(settings, passkey_origins=(further,))

    assert Client().get("/.well-known/webauthn").json() == {"origins": [ORIGIN, further]}
    assert signs_in(passkey, origin=further)
    assert signs_in(passkey)
    for foreign in (f"{further}.evil.example", "https://localhost"):
        assert not signs_in(passkey, origin=foreign)


# The digest of a certificate.
DIGEST = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


def test_a_passkey_works_in_the_listed_apps_and_the_site_names_them(settings):
    """Withstands a malicious app."""
    _alice, passkey = owner()
    android = f"android:apk-key-hash:{DIGEST}"
    assert not signs_in(passkey, origin=android)
    assert not signs_in(passkey, origin="https://localhost")

    apple = "TEAM123456.org.example.app"
    set_up(settings, passkey_origins=(f"{android}@org.example.app", f"webcredentials:{apple}"))

    assert signs_in(passkey, origin=android)
    assert signs_in(passkey, origin="https://localhost"), "as apps on Apple's systems say"
    for foreign in (f"{android[:-1]}A", f"webcredentials:{apple}", f"{android}@org.example.app"):
        assert not signs_in(passkey, origin=foreign)
    (link,) = Client().get("/.well-known/assetlinks.json").json()
    assert link["target"]["package_name"] == "org.example.app"
    assert link["target"]["sha256_cert_fingerprints"][0].startswith("E3:B0:C4:42:98:FC")
    association = Client().get("/.well-known/apple-app-site-association").json()
    assert association == {"webcredentials": {"apps": [apple]}}
    assert Client().get("/.well-known/webauthn").json() == {"origins": [ORIGIN]}


def test_a_passkey_made_for_another_site_or_purpose_is_refused():
    alice = person()
    browser = signed_in(alice)
    kinds = {"a registration": {"kind": "webauthn.get"}}

    for changes in (WRONG_RESPONSES | kinds).values():
        add_passkey(browser, **changes)

    assert passkeys_of(alice) == []
    assert add_passkey(browser).status_code == 302


@proves("63B-3.1.7.4")
@pytest.mark.parametrize("counts", [False, True], ids=["synced", "security key"])
def test_a_passkey_whose_eligibility_for_backup_changes_is_refused(counts):
    """Withstands a thief with a second factor: WebAuthn section 7.2."""
    alice, passkey = person(), Passkey(counts=counts)
    browser = signed_in(alice)
    add_passkey(browser, passkey)

    assert not signs_in(passkey, flags=(PRESENT | VERIFIED | ELIGIBLE) ^ (passkey.flags & ELIGIBLE))
    assert alice.activity.get(kind="sign_in_failed").detail == "passkey"
    assert times_in_history(alice, "passkey_suspect") == 0
    assert signs_in(passkey)


@proves("63B-2.2.1", "63B-3.1.7.4", "63B-3.2.8")
def test_a_passkey_without_user_verification_is_only_a_second_step():
    """Withstands a thief with a second factor: a security key is stolen."""
    alice, passkey = owner()
    unverified = PRESENT | ELIGIBLE

    assert not signs_in(passkey, flags=unverified)
    assert times_in_history(alice, "sign_in_failed") == 1
    browser = after_password()
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE), flags=unverified))
    assert not Row.objects.get().is_synced, "as the passkey says now"


def test_another_users_passkey_is_neither_a_second_step_nor_a_reauthentication(clock):
    """Withstands another member."""
    alice, passkey = owner()
    _mallory, hers = owner("mallory")
    browser = after_password()

    assert not completes_sign_in(browser, hers.get(options_of(browser, CHALLENGE)))
    session = signed_in(alice)
    post_credential(session, hers.get(options_of(session, REAUTHENTICATE)), REAUTHENTICATE)
    assert [times_in_history(alice, kind) for kind in ("factor_failed", "proof_failed")] == [1, 1]
    assert times_in_history(alice, "proof_given") == 0

    def statuses(*credentials):
        return [post_credential(session, c, REAUTHENTICATE).status_code for c in credentials]

    right = passkey.get(options_of(session, REAUTHENTICATE))
    assert statuses("{}", "{}", "{}", right, "{}", "{}") == [200] * 3 + [302, 200, 429]


def test_a_user_handle_does_not_change_which_account_a_passkey_opens():
    alice, _passkey = owner()
    mallory, hers = owner("mallory")
    browser = Client()
    handle = {"userHandle": bytes_to_base64url(alice.pk.bytes)}

    post_credential(browser, hers.get(options_of(browser), response=handle))

    assert not LoginSession.objects.filter(user=alice).exists()
    assert LoginSession.objects.filter(user=mallory).count() == is_signed_in(browser)


def test_a_counter_that_does_not_increase_is_refused_recorded_and_mailed(clock):
    """Withstands a thief with a second factor."""
    alice, passkey = owner(counts=True)
    for _ in range(2):
        assert signs_in(passkey)
    used = Row.objects.values_list("sign_count", "is_eligible", "is_synced", "used_at").get()
    assert used == (2, False, False, clock.now())

    for counter in (2, 1, 0):
        assert not signs_in(passkey, counter=counter)

    assert times_in_history(alice, "passkey_suspect") == 3
    told = [mail for mail in outbox() if "may have been copied" in mail.subject]
    assert [mail.to for mail in told] == [alice.email] * 3
    assert signs_in(passkey), "the real passkey still works"


@proves("V6.5.6", "63B-4.3")
def test_a_removed_passkey_is_refused_and_the_browser_is_told_to_delete_it():
    """Withstands a thief with a second factor."""
    _alice, passkey = owner()
    browser = Client()
    answer = passkey.get(options_of(browser))
    Row.objects.all().delete()

    page = post_credential(browser, answer)

    assert not is_signed_in(browser)
    assert "data-signal" in page.text
    assert passkey.id in page.text
    assert Activity.objects.get(user=None, kind="sign_in_failed").detail == "passkey"


def test_a_passkey_checked_before_a_change_of_the_account_gives_no_session_after_it(monkeypatch):
    """Withstands a race."""
    alice, passkey = owner()
    check = view.passkeys.sign_in

    def overtaken(*arguments):
        checked = check(*arguments)
        users.void_proofs_and_links(alice)
        return checked

    monkeypatch.setattr(view.passkeys, "sign_in", overtaken)

    assert not signs_in(passkey)
    assert not LoginSession.objects.filter(user=alice).exists()


def test_a_lockdown_and_reset_remove_a_thiefs_passkey_and_keep_the_owners(clock):
    """Withstands a thief in the account."""
    alice, passkey = owner()
    enrolled(alice)
    clock.advance(days=8)
    thiefs = registered(alice)

    assert signed_in(alice).post("/accounts/lockdown/").status_code == 200
    assert not signs_in(thiefs)
    assert not signs_in(passkey), "a locked account needs a reset first"
    assert alice.activity.get(kind="sign_in_failed").detail == "locked"

    browser = Client()
    browser.post(RESET, {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    browser.post(link, {"code": unused_code(alice)})
    browser.post(link, {"password1": "slow comet over the harbour"})
    assert passkeys_of(alice) == [passkey.id]
    assert times_in_history(alice, "suspended") == 1
    assert not signs_in(thiefs)
    assert signs_in(passkey)


def test_passkey_answers_are_limited_by_network_and_separately_for_known_browsers(clock):
    """Withstands a flood."""
    _alice, passkey = owner()
    hers, also, browser = Client(), Client(), Client()
    for known in (hers, also):
        assert signs_in(passkey, known)
        known.post("/accounts/logout/")
    statuses = {post_credential(browser, "{}").status_code for _ in range(UNGUESSABLE.burst)}

    assert statuses == {200}
    assert post_credential(browser, passkey.get(options_of(browser))).status_code == 429
    assert post_credential(hers, "{}").status_code == 429, (
        "an answer without a known passkey counts for the network"
    )
    wrong = passkey.get({**options_of(hers), "challenge": "A" * 43})
    many = [post_credential(hers, wrong).status_code for _ in range(UNGUESSABLE.burst - 1)]
    assert set(many) == {200}
    assert signs_in(passkey, hers)
    hers.post("/accounts/logout/")
    assert [post_credential(hers, wrong).status_code for _ in range(2)] == [200, 429]
    assert signs_in(passkey, also), "each known browser has its own limit"
    clock.advance(seconds=UNGUESSABLE.per)
    assert signs_in(passkey, browser)


ADMIN = "/admin/"
STAFF = {"is_staff": True, "is_superuser": True}


def confirm_by_mail(browser):
    """Confirm a sign-up with the code of the newest mail."""
    return browser.post(CONFIRM, {"code": outbox()[-1].code})


@pytest.mark.parametrize("has_app", [True, False])
def test_staff_who_need_a_passkey_add_it_after_the_steps_they_can_take(settings, has_app):
    """Withstands a hostile website: phishing."""
    set_up(settings, staff_factor="passkey")
    carol = person("carol", **STAFF)
    person("bob")
    assert sign_in(Client(), "bob").url == "/", "members need none"
    browser = Client()
    if has_app:
        enrolled(carol)
        assert sign_in(browser, "carol").url == CHALLENGE
        assert browser.get(ADD).url == CHALLENGE
        assert browser.post(CHALLENGE, {"code": unused_code(carol)}).url == ADD
    else:
        assert sign_in(browser, "carol").url == ADD
        browser.get(SETUP)
    assert not is_signed_in(browser)
    assert "authenticator app" not in browser.get(ADD).text

    add_passkey(browser)

    assert browser.get(ADMIN).status_code == 200
    proofs = ["pwd", "otp", "passkey"] if has_app else ["pwd", "passkey"]
    assert LoginSession.objects.get(user=carol).amr == proofs


def test_staff_with_a_passkey_sign_in_by_no_authenticator_app_and_no_trusted_browser(settings):
    """Withstands a hostile website: phishing."""
    carol, passkey = owner("carol", **STAFF)
    enrolled(carol)
    browser = trusting_browser(carol)
    set_up(settings, staff_factor="passkey")

    assert needs_second_step(browser, "carol")
    assert 'name="trust"' not in browser.get(CHALLENGE).text, "trust would replace no passkey"
    browser.post(CHALLENGE, {"code": unused_code(carol)})
    assert not is_signed_in(browser)
    assert browser.get(ADD).url == CHALLENGE, "the app does not allow adding a passkey either"
    assert completes_sign_in(browser, passkey.get(options_of(browser, CHALLENGE)))
    assert browser.get(ADMIN).status_code == 200


def test_a_session_from_before_the_setting_does_not_open_the_admin(settings, clock):
    """Withstands a thief with a cookie."""
    carol, passkey = owner("carol", **STAFF)
    enrolled(carol)
    browser = signed_in(carol)
    assert browser.get(ADMIN).status_code == 200

    set_up(settings, staff_factor="passkey")

    again = f"{REAUTHENTICATE}?next={ADMIN}"
    assert browser.get(ADMIN, follow=True).redirect_chain[-1][0] == again
    clock.advance(minutes=1)
    browser.post(REAUTHENTICATE, {"code": unused_code(carol)})
    assert browser.get(ADMIN).status_code == 302
    post_credential(browser, passkey.get(options_of(browser, REAUTHENTICATE)), REAUTHENTICATE)
    assert browser.get(ADMIN).status_code == 200


def sign_up_by_passkey(browser, username="alice"):
    fields = {"username": username, "email": f"{username}@example.org"}
    return browser.post(SIGNUP, {**fields, "password1": "whatever it is", "passkey": "1"})


def test_the_link_of_a_passwordless_sign_up_works_only_in_its_own_browser():
    """Withstands an impostor."""
    browser = Client()
    sign_up_by_passkey(browser)
    link = path_of(outbox()[-1].action_url)

    other = Client()
    passwords = ({}, {"password": ""}, {"password": "whatever it is"})
    answers = [other.get(link), *(other.post(link, typed) for typed in passwords)]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert not User.objects.exists()
    assert browser.post(link).url.startswith(ADD), "the link itself is valid"


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_no_password_signs_in_to_an_account_without_a_password(is_confirmed):
    """Withstands a thief with the password."""
    browser = Client()
    sign_up_by_passkey(browser)
    stored = PendingSignup.objects.get().password
    if is_confirmed:
        confirm_by_mail(browser)

    for word in ("", "whatever it is", stored, "!", "None"):
        thief = Client()
        assert sign_in(thief, "alice", word).status_code == 200
        assert not is_signed_in(thief)
        assert "alice@" not in thief.get(CONFIRM).text


def test_the_passkey_of_a_passwordless_sign_up_counts_as_the_required_second_factor(settings):
    set_up(settings, second_factor="all")
    browser = Client()
    sign_up_by_passkey(browser)
    assert confirm_by_mail(browser).url.startswith(ADD)
    assert not is_signed_in(browser)
    new = Passkey()

    assert add_passkey(browser, new).url == RECOVERY_CODES

    assert signs_in(new)
    code = recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]
    without_it = Client()
    by_mail(without_it)
    without_it.post(CHALLENGE, {"code": code})
    assert is_signed_in(without_it)


def test_the_owner_link_creates_no_owner_without_a_password():
    """Withstands an operator's mistake."""
    link = path_of(str(owners.new_link()))
    fields = {"username": "carol", "email": "carol@example.org", "passkey": "1"}

    assert Client().post(link, fields).status_code == 200
    assert not User.objects.exists()
