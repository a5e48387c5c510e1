"""Steps of the event tests that concern second factors, passkeys and recovery."""

from datetime import timedelta

from accounts.sessions.models import LoginSession
from accounts.twofactor.models import Authenticator, Passkey
from tests.support import second_factor, webauthn
from tests.support.activity.event_steps import REAUTHENTICATE, Act, Scene, in_turn, sign_in_alice
from tests.support.second_factor import CHALLENGE, RECOVERY_CODES
from tests.support.steps import PASSWORD


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


def report_lost_factors(scene: Scene) -> None:
    scene.there.post(CHALLENGE, {"lost": "ask"})


wait_for_the_second_step = in_turn(have_an_authenticator, take_the_first_step)

request_the_removal = in_turn(wait_for_the_second_step, report_lost_factors)


def wait_out_the_recovery_period(scene: Scene) -> None:
    request_the_removal(scene)
    scene.clock.advance(hours=72)
    take_the_first_step(scene)


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


def let_the_browser_make_a_passkey(scene: Scene) -> webauthn.Passkey:
    return webauthn.let_the_browser_make(scene.here)


def have_an_automatic_passkey(scene: Scene) -> webauthn.Passkey:
    """Let the browser make a passkey, and read the message about it."""
    passkey = let_the_browser_make_a_passkey(scene)
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
