"""How each kind of event comes about, and what its row says."""

from dataclasses import dataclass
from functools import partial

from django.contrib.auth.hashers import make_password

from accounts.apikeys.models import APIKey
from accounts.recovery import suspension
from accounts.throttle.limits import FACTOR_LINE
from accounts.users.identities import Identity
from accounts.users.models import User
from tests.activity.event_steps import (
    CAFE,
    HERE,
    LOCKDOWN,
    NEW_PASSWORD,
    NOWHERE,
    PROFILE,
    REAUTHENTICATE,
    SECOND,
    SESSIONS,
    THERE,
    THIRD,
    Act,
    add_a_passkey,
    add_a_young_address,
    add_an_address,
    allow_one_session,
    ask_for_the_removal,
    both,
    carol_changes,
    carol_signs_in,
    come_with_an_identity,
    command,
    connect,
    copy_the_cookie,
    end_the_other_session,
    fail,
    firefox,
    forget_the_password,
    forget_the_review,
    have_a_copy,
    have_a_recovery_code,
    have_a_token,
    have_access,
    have_an_authenticator,
    have_renewed_twice,
    iphone,
    knowing,
    let_carol_read,
    post,
    press,
    review,
    say_that_all_is_lost,
    show_a_passkey,
    show_it_there,
    show_the_authenticator,
    signs_in,
    sit_out_the_waiting_period,
    suspend_it,
    switch_alice_off,
    thief_of,
    trust_a_browser,
    wait_for_a_passkey,
    wait_for_the_last_week,
    wait_for_the_second_step,
)
from tests.attacks import key_steps as keys
from tests.support import second_factor, webauthn
from tests.support.api import call, exchange, renew
from tests.support.second_factor import CHALLENGE, RECOVERY_CODES, SETUP
from tests.support.steps import (
    LOGIN,
    LOGOUT,
    PASSWORD,
    address_of,
    confirm,
    sign_in,
    sign_up,
)


@dataclass(frozen=True)
class Way:
    """How a kind of event comes about; what its row says of where and by which proof; who hears."""

    act: Act
    place: tuple[str, str] = HERE
    proof: str = ""
    actor: str = ""
    user: str = "alice"
    in_session: bool = True
    prepare: Act = id
    # By default, a change at every address and anything else at the primary one.
    told: tuple[str, ...] = ()


of_operator = partial(Way, place=NOWHERE, actor="@operator", in_session=False)
of_carol = partial(Way, place=THERE, actor="carol", prepare=carol_signs_in)
of_stranger = partial(Way, place=THERE, in_session=False)
of_authenticator = partial(Way, prepare=show_the_authenticator)
of_passkey = partial(Way, prepare=show_a_passkey)
at_second_step = partial(of_stranger, prepare=wait_for_the_second_step)
after_a_failure = both(wait_for_the_second_step, fail(1))

WAYS = {
    "signed_up": of_stranger(
        lambda s: confirm(s.visitor, "bob"), user="bob", prepare=lambda s: sign_up(s.visitor, "bob")
    ),
    "signed_in": Way(lambda s: signs_in(s.here), proof="pwd"),
    "signed_in_new": Way(lambda _: signs_in(iphone()), THERE, "pwd"),
    "signed_in_network": Way(lambda s: signs_in(knowing(firefox(at=CAFE[0]), s)), CAFE, "pwd"),
    "signed_out": Way(post(LOGOUT)),
    "proof_given": Way(post(REAUTHENTICATE, password=PASSWORD), proof="pwd"),
    "session_ended": Way(end_the_other_session),
    "session_ended_by_limit": Way(
        lambda s: signs_in(s.there), THERE, "pwd", prepare=allow_one_session
    ),
    "others_ended": Way(post(SESSIONS, others="1")),
    "sign_in_failed": of_stranger(lambda s: sign_in(s.visitor, "alice", NEW_PASSWORD)),
    "proof_failed": Way(post(REAUTHENTICATE, password=NEW_PASSWORD)),
    "proof_guessed": Way(
        post(REAUTHENTICATE, password=NEW_PASSWORD),
        prepare=both(*[post(REAUTHENTICATE, password=NEW_PASSWORD)] * 4),
    ),
    "browser_changed": Way(copy_the_cookie("basic"), THERE),
    "browser_proved": Way(
        lambda s: thief_of(s).post(REAUTHENTICATE, {"password": PASSWORD}), THERE, "pwd"
    ),
    "session_stopped": Way(copy_the_cookie("strong"), THERE),
    "password_changed": of_operator(command("changepassword", "alice")),
    "password_reset": of_stranger(
        lambda s: s.visitor.post(s.kept, {"password1": NEW_PASSWORD}),
        proof="mail",
        prepare=forget_the_password,
    ),
    "password_set": Way(
        post("/accounts/password/set/", password1=NEW_PASSWORD),
        proof="pwd mail",
        prepare=lambda _: User.objects.update(password=make_password(None)),
    ),
    "address_added": Way(post(), prepare=add_an_address, told=(address_of("alice"), SECOND, THIRD)),
    "address_removed": Way(press("remove")),
    "primary_changed": Way(press("primary")),
    "renamed": Way(post(PROFILE, username="alicia"), proof="pwd mail", user="alicia"),
    "profile_changed": Way(
        post(PROFILE, display_name="", about="", language="en", time_zone="Asia/Tokyo")
    ),
    "locked_down": Way(post(LOCKDOWN), proof="pwd mail"),
    "all_ended": of_operator(command("end_sessions", "alice")),
    "rights_changed": of_carol(carol_changes(is_active="on", is_staff="on")),
    "staff_changed": of_carol(
        carol_changes(is_active="on", is_staff="on"), user="carol", told=(address_of("carol"),)
    ),
    "switched_off": of_carol(carol_changes()),
    "switched_on": of_carol(
        carol_changes(is_active="on"), prepare=both(carol_signs_in, switch_alice_off)
    ),
    "factor_added": Way(
        lambda s: s.here.post(SETUP, {"code": second_factor.code_of(s.kept)}),
        proof="otp",
        prepare=lambda s: second_factor.seed_on(s.here.get(SETUP).text),
    ),
    "factor_renamed": of_authenticator(post(name="Tablet")),
    "factor_removed": of_authenticator(post(remove="1"), proof="pwd mail otp"),
    "factors_reset": of_operator(
        command("reset_second_factor", "alice"), prepare=have_an_authenticator
    ),
    "factors_recovered": of_stranger(
        lambda s: s.there.post(CHALLENGE, {"lost": "finish"}),
        proof="pwd",
        prepare=sit_out_the_waiting_period,
    ),
    "factor_failed_new": at_second_step(fail(1)),
    "factor_failed": of_stranger(fail(1), prepare=after_a_failure),
    "factor_blocked": of_stranger(fail(FACTOR_LINE.burst + 1), prepare=after_a_failure),
    "recovery_codes_made": of_authenticator(post(RECOVERY_CODES, new="1"), proof="pwd mail otp"),
    "recovery_code_used": Way(
        lambda s: s.here.post(REAUTHENTICATE, {"code": s.kept}), prepare=have_a_recovery_code
    ),
    "recovery_asked": at_second_step(say_that_all_is_lost, proof="pwd"),
    "recovery_cancelled": Way(
        post("/accounts/recovery/", former=PASSWORD), prepare=ask_for_the_removal
    ),
    "suspended": Way(post(LOCKDOWN), proof="pwd mail", prepare=add_a_young_address),
    "put_back": Way(
        review("keep"),
        proof="pwd mail",
        prepare=suspend_it,
        told=(address_of("alice"), SECOND, THIRD),
    ),
    "suspended_deleted": Way(review("delete"), proof="pwd mail", prepare=suspend_it),
    "reviewed": Way(post("/accounts/review/", done="1"), proof="pwd mail"),
    "review_ended": Way(
        lambda _scene: suspension.end_forgotten_reviews(),
        NOWHERE,
        in_session=False,
        prepare=forget_the_review,
    ),
    "passkey_added": Way(add_a_passkey, proof="passkey"),
    "passkey_renamed": of_passkey(post(name="Laptop")),
    "passkey_removed": of_passkey(post(remove="1"), proof="pwd mail passkey"),
    "passkey_suspect": of_stranger(
        show_it_there(LOGIN, webauthn.LOGIN_PASSKEY), prepare=have_a_copy
    ),
    "browser_trusted": Way(trust_a_browser, THERE, prepare=wait_for_a_passkey),
    "trust_ended": Way(
        post("/accounts/2fa/trusted/", all="1"), prepare=both(wait_for_a_passkey, trust_a_browser)
    ),
    "client_signed_in": Way(have_a_token, THERE, "pwd", prepare=have_a_token),
    "client_signed_in_new": Way(have_a_token, THERE, "pwd"),
    "client_signed_out": Way(
        lambda s: call("token/revoke/", {"token": s.kept}, client=s.visitor),
        THERE,
        prepare=have_a_token,
    ),
    "token_reused": Way(lambda s: renew(s.kept, s.visitor), THERE, prepare=have_renewed_twice),
    "key_made": Way(post(keys.NEW, **keys.FORM)),
    "key_ended": Way(
        lambda s: s.here.post(keys.KEYS, {"end": APIKey.objects.get().pk}),
        prepare=post(keys.NEW, **keys.FORM),
    ),
    "token_exchanged": Way(lambda s: exchange(s.kept, iphone()), THERE, prepare=have_access),
    "profile_read": of_carol(
        lambda s: call(f"users/{s.alice.pk}/", token=s.kept, client=iphone()),
        prepare=let_carol_read,
    ),
    "key_expires": Way(command("prune"), NOWHERE, in_session=False, prepare=wait_for_the_last_week),
    "provider_connected": Way(connect, proof="pwd mail", prepare=come_with_an_identity),
    "provider_disconnected": Way(
        lambda s: s.here.post("/accounts/3rdparty/", {"disconnect": Identity.objects.get().pk}),
        proof="pwd mail",
        prepare=both(come_with_an_identity, connect),
    ),
}
