"""Cases of events about second factors and passkeys."""

from functools import partial

from accounts.throttle.limits import FACTOR_SUBSCRIBER
from tests.support import second_factor, webauthn
from tests.support.activity.event_case import Case, by_operator, by_visitor
from tests.support.activity.event_steps import (
    REAUTHENTICATE,
    THERE,
    alice_was,
    command,
    in_turn,
    post,
)
from tests.support.activity.factor_steps import (
    add_a_passkey,
    confirm_the_passkey,
    enter_wrong_codes,
    have_a_cloned_key,
    have_a_recovery_code,
    have_an_authenticator,
    have_an_automatic_passkey,
    let_the_browser_make_a_passkey,
    reauthenticate_by_authenticator,
    reauthenticate_by_passkey,
    report_lost_factors,
    request_the_removal,
    sign_in_a_moment_later,
    trust_a_browser,
    use_passkey_there,
    wait_for_a_passkey,
    wait_for_the_second_step,
    wait_out_the_recovery_period,
)
from tests.support.second_factor import CHALLENGE, EMAILED_CODES, RECOVERY_CODES, SETUP
from tests.support.steps import LOGIN, PASSWORD

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
        lambda s: s.there.post(CHALLENGE, {"lost": "finish"}),
        proof="pwd",
        prepare=wait_out_the_recovery_period,
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
    "recovery_asked": at_second_step(report_lost_factors, proof="pwd"),
    "recovery_cancelled": Case(
        post("/accounts/recovery/", former=PASSWORD), prepare=request_the_removal
    ),
    "passkey_added": Case(add_a_passkey, proof="passkey"),
    "passkey_made": Case(
        let_the_browser_make_a_passkey, proof="pwd mail", prepare=sign_in_a_moment_later
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
