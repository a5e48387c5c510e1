"""Every kind of event of second factors, as real requests and commands bring it about."""

import io
from collections.abc import Callable

from django.core.management import call_command

from accounts.throttle.limits import FACTOR_ACCOUNT
from accounts.twofactor.models import Authenticator
from tests.activity.steps import (
    NOWHERE,
    REAUTHENTICATE,
    THERE,
    Scene,
    Way,
    forget_the_password,
)
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    enrolled,
    recovery_codes_on,
    seed_on,
    unused_code,
)
from tests.support.steps import sign_in


def open_the_setup(scene: Scene) -> None:
    scene.seed = seed_on(scene.here.get(SETUP).text)


def add_an_authenticator(scene: Scene) -> None:
    scene.here.post(SETUP, {"code": code_of(scene.seed)})


def post_to_the_authenticator(**fields: str) -> Callable[[Scene], object]:
    """On the page of the one that alice has."""

    def act(scene: Scene) -> None:
        row = Authenticator.objects.get(user=scene.alice)
        scene.here.post(f"/accounts/2fa/totp/{row.pk}/", fields)

    return act


def have_an_authenticator(scene: Scene) -> None:
    enrolled(scene.alice)


def show_the_authenticator(scene: Scene) -> None:
    """``here``: who has one and would change it has shown it."""
    have_an_authenticator(scene)
    scene.here.post(REAUTHENTICATE, {"code": unused_code(scene.alice)})


def take_the_first_step(scene: Scene) -> None:
    """``there``, by the password; the second is asked for."""
    scene.there.cookies.pop("sessionid", None)
    assert sign_in(scene.there, "alice").url == CHALLENGE


def wait_for_the_second_step(scene: Scene) -> None:
    have_an_authenticator(scene)
    take_the_first_step(scene)


def fail(times: int) -> Callable[[Scene], object]:
    """Type a wrong code."""

    def act(scene: Scene) -> None:
        for _ in range(times):
            scene.there.post(CHALLENGE, {"code": "000000"})

    return act


def have_failed_today(scene: Scene) -> None:
    """The first wrong one of a day is news, others are not."""
    wait_for_the_second_step(scene)
    fail(1)(scene)


def make_recovery_codes(scene: Scene) -> None:
    scene.here.post(RECOVERY_CODES, {"new": "1"})


def have_a_recovery_code(scene: Scene) -> None:
    show_the_authenticator(scene)
    make_recovery_codes(scene)
    scene.recovery_code = recovery_codes_on(scene.here.get(RECOVERY_CODES).text)[0]


def say_that_all_is_lost(scene: Scene) -> None:
    scene.there.post(CHALLENGE, {"lost": "ask"})


def ask_for_the_removal(scene: Scene) -> None:
    wait_for_the_second_step(scene)
    say_that_all_is_lost(scene)


def sit_out_the_waiting_period(scene: Scene) -> None:
    ask_for_the_removal(scene)
    scene.clock.advance(hours=72)
    forget_the_password(scene)


FACTOR_WAYS = {
    "factor_added": Way(add_an_authenticator, proof="otp", prepare=open_the_setup),
    "factor_renamed": Way(post_to_the_authenticator(name="Tablet"), prepare=show_the_authenticator),
    "factor_removed": Way(
        post_to_the_authenticator(remove="1"), proof="pwd mail otp", prepare=show_the_authenticator
    ),
    "factors_reset": Way(
        lambda _: call_command("reset_second_factor", "alice", stdout=io.StringIO()),
        NOWHERE,
        actor="@operator",
        in_session=False,
        prepare=have_an_authenticator,
    ),
    "factors_recovered": Way(
        lambda s: s.visitor.post(s.link, {"lost": "finish"}),
        THERE,
        proof="mail",
        in_session=False,
        prepare=sit_out_the_waiting_period,
    ),
    "factor_failed_new": Way(fail(1), THERE, in_session=False, prepare=wait_for_the_second_step),
    "factor_failed": Way(fail(1), THERE, in_session=False, prepare=have_failed_today),
    "factor_blocked": Way(
        fail(FACTOR_ACCOUNT.burst + 1), THERE, in_session=False, prepare=have_failed_today
    ),
    "recovery_codes_made": Way(
        make_recovery_codes, proof="pwd mail otp", prepare=show_the_authenticator
    ),
    "recovery_code_used": Way(
        lambda s: s.here.post(REAUTHENTICATE, {"code": s.recovery_code}),
        prepare=have_a_recovery_code,
    ),
    "recovery_asked": Way(
        say_that_all_is_lost,
        THERE,
        proof="pwd",
        in_session=False,
        prepare=wait_for_the_second_step,
    ),
    "recovery_cancelled": Way(
        lambda s: s.here.post("/accounts/2fa/", {"cancel": "1"}),
        proof="pwd mail",
        prepare=ask_for_the_removal,
    ),
}
