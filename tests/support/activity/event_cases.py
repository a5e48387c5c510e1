"""For each kind of event: the act that causes it and what its row says."""

from functools import partial

from django.contrib.auth.hashers import make_password

from accounts.apikeys.models import APIKey
from accounts.recovery import suspension
from accounts.users.models import Identity, User
from tests.support import api_keys as keys
from tests.support.activity.app_steps import (
    agree_to_the_app,
    allow_a_device,
    disconnect_the_app,
    have_a_connected_app,
    have_a_device,
    have_a_registration_token,
    have_an_app,
    register_an_app,
    use_the_code_twice,
)
from tests.support.activity.event_case import Case, by_operator, by_visitor
from tests.support.activity.event_steps import (
    CAFE,
    LOCKDOWN,
    NEW_PASSWORD,
    NOWHERE,
    PROFILE,
    REAUTHENTICATE,
    SECOND,
    SESSIONS,
    THERE,
    THIRD,
    add_a_recent_address,
    add_an_address,
    alice_was,
    allow_one_session,
    bring_an_identity,
    command,
    connect,
    copy_the_cookie,
    end_the_other_session,
    firefox,
    guess_alices_password,
    have_a_replaced_token,
    have_a_token,
    have_an_access_token,
    in_turn,
    iphone,
    leave_the_review_unfinished,
    let_carol_read,
    post,
    press_email_button,
    request_a_password_reset,
    review,
    sign_in_alice,
    suspend_the_address,
    thief_of,
    wait_until_a_key_expires_soon,
    with_known_cookie,
)
from tests.support.activity.factor_cases import FACTOR_CASES
from tests.support.activity.staff_steps import (
    carol_acts,
    carol_acts_on_the_app,
    carol_allows_a_key,
    carol_becomes_an_auditor,
    carol_changes,
    carol_changes_the_app,
    carol_ends_a_session,
    carol_gives_a_permission,
    carol_invites,
    carol_reads_details,
    carol_registers_an_app,
    carol_revokes,
    carol_revokes_the_token,
    carol_signs_in,
    have_a_key_for_staff,
    invitation_link,
)
from tests.support.api import call, exchange, renew
from tests.support.steps import LOGOUT, PASSWORD, address_of, confirm, sign_in, sign_up

by_carol = partial(Case, place=THERE, actor="carol", prepare=carol_signs_in)
about_apps = partial(by_carol, user="carol", notified=(address_of("carol"),))
carol_herself = partial(
    Case, place=THERE, user="carol", prepare=carol_signs_in, notified=(address_of("carol"),)
)

CASES = FACTOR_CASES | {
    "signed_up": by_visitor(
        lambda s: confirm(s.visitor, "bob"), user="bob", prepare=lambda s: sign_up(s.visitor, "bob")
    ),
    "signed_in": Case(lambda s: sign_in_alice(s.here), proof="pwd"),
    "signed_in_new": Case(lambda _: sign_in_alice(iphone()), THERE, "pwd"),
    "signed_in_network": Case(
        lambda s: sign_in_alice(with_known_cookie(firefox(at=CAFE[0]), s)), CAFE, "pwd"
    ),
    "signed_out": Case(post(LOGOUT)),
    "proof_given": Case(post(REAUTHENTICATE, password=PASSWORD), proof="pwd"),
    "session_ended": Case(end_the_other_session),
    "session_ended_by_limit": Case(
        lambda s: sign_in_alice(s.there), THERE, "pwd", prepare=allow_one_session
    ),
    "others_ended": Case(post(SESSIONS, others="1")),
    "sign_in_failed": by_visitor(lambda s: sign_in(s.visitor, "alice", NEW_PASSWORD)),
    "proof_failed": Case(post(REAUTHENTICATE, password=NEW_PASSWORD)),
    "proof_guessed": Case(
        post(REAUTHENTICATE, password=NEW_PASSWORD),
        prepare=in_turn(*[post(REAUTHENTICATE, password=NEW_PASSWORD)] * 4),
    ),
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
    "locked_down": Case(post(LOCKDOWN), proof="pwd mail"),
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
    "staff_changed": by_carol(
        carol_changes(is_staff="on"), user="carol", notified=(address_of("carol"),)
    ),
    "key_allowed": by_carol(carol_allows_a_key, prepare=have_a_key_for_staff),
    "key_disallowed": by_carol(
        carol_acts("withdraw-key"), prepare=in_turn(have_a_key_for_staff, carol_allows_a_key)
    ),
    "details_read": Case(
        carol_reads_details, THERE, actor="carol", prepare=carol_becomes_an_auditor
    ),
    "details_seen": Case(
        carol_reads_details, THERE, user="carol", prepare=carol_becomes_an_auditor
    ),
    "invited": carol_herself(carol_invites(rights=True)),
    "invitation_revoked": carol_herself(
        carol_revokes, prepare=in_turn(carol_signs_in, carol_invites())
    ),
    "invitation_accepted": Case(
        lambda s: iphone().post(s.prepared, {"username": "dave", "password1": NEW_PASSWORD}),
        NOWHERE,
        user="carol",
        in_session=False,
        prepare=in_turn(carol_signs_in, carol_invites(), invitation_link),
    ),
    "app_registered": about_apps(carol_registers_an_app),
    "app_changed": about_apps(
        carol_changes_the_app, prepare=in_turn(carol_signs_in, carol_registers_an_app)
    ),
    "app_secret_made": about_apps(
        carol_acts_on_the_app("secret"), prepare=in_turn(carol_signs_in, carol_registers_an_app)
    ),
    "app_disabled": about_apps(
        carol_acts_on_the_app("enabled", enabled="no"),
        prepare=in_turn(carol_signs_in, carol_registers_an_app),
    ),
    "app_enabled": about_apps(
        carol_acts_on_the_app("enabled", enabled="yes"),
        prepare=in_turn(
            carol_signs_in, carol_registers_an_app, carol_acts_on_the_app("enabled", enabled="no")
        ),
    ),
    "registration_token_made": by_operator(
        have_a_registration_token,
        user="carol",
        prepare=carol_signs_in,
        notified=(address_of("carol"),),
    ),
    "app_self_registered": by_visitor(
        register_an_app, user="carol", prepare=in_turn(carol_signs_in, have_a_registration_token)
    ),
    "registration_token_revoked": about_apps(
        carol_revokes_the_token, prepare=in_turn(carol_signs_in, have_a_registration_token)
    ),
    "app_connected": Case(agree_to_the_app, prepare=have_an_app),
    "device_connected": Case(allow_a_device, prepare=have_a_device),
    "app_disconnected": Case(disconnect_the_app, prepare=have_a_connected_app),
    "code_reused": by_visitor(use_the_code_twice, prepare=have_a_connected_app),
    "switched_off": by_carol(carol_acts("deactivate")),
    "switched_on": by_carol(
        carol_acts("reactivate"), prepare=in_turn(carol_signs_in, alice_was(is_active=False))
    ),
    "reset_sent": by_carol(carol_acts("send-reset")),
    "confirmation_sent": by_carol(
        carol_acts("send-confirmation"),
        prepare=in_turn(add_an_address, lambda s: s.clock.advance(minutes=1), carol_signs_in),
    ),
    "ended_by_staff": by_carol(carol_ends_a_session),
    "limits_cleared": by_carol(in_turn(guess_alices_password, carol_acts("clear-limits"))),
    "lock_lifted": by_carol(
        carol_acts("lift-lock"), prepare=in_turn(carol_signs_in, post(LOCKDOWN))
    ),
    "staff_acted": by_carol(carol_acts("deactivate"), user="carol", actor=""),
    "suspended": Case(post(LOCKDOWN), proof="pwd mail", prepare=add_a_recent_address),
    "put_back": Case(
        review("keep"),
        proof="pwd mail",
        prepare=suspend_the_address,
        notified=(address_of("alice"), SECOND, THIRD),
    ),
    "suspended_deleted": Case(review("delete"), proof="pwd mail", prepare=suspend_the_address),
    "reviewed": Case(post("/accounts/review/", done="1"), proof="pwd mail"),
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
