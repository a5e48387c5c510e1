"""Every kind of event of passkeys and trusted browsers, as real requests bring it about."""

from collections.abc import Callable

from accounts.twofactor.models import Passkey as Row
from tests.activity.steps import REAUTHENTICATE, THERE, Scene, Way
from tests.support.second import CHALLENGE
from tests.support.steps import PASSWORD, sign_in
from tests.support.webauthn import (
    ADD,
    LOGIN_PASSKEY,
    PASSKEYS,
    Passkey,
    options_on,
    registered,
)

LOGIN = "/accounts/login/"
TRUSTED = "/accounts/2fa/trusted/"


def add_a_passkey(scene: Scene) -> None:
    """After a proof: what the page asks for is good for as long as the page waits for one."""
    scene.here.post(REAUTHENTICATE, {"password": PASSWORD})
    new = Passkey()
    scene.here.post(ADD, {"credential": new.create(options_on(scene.here.get(ADD).text))})


def show_a_passkey(scene: Scene) -> None:
    """``here``: who has one and would change it has shown it."""
    passkey = registered(scene.alice)
    answer = passkey.get(options_on(scene.here.get(REAUTHENTICATE).text))
    scene.here.post(REAUTHENTICATE, {"credential": answer})


def post_to_the_passkey(**fields: str) -> Callable[[Scene], object]:
    """On the page of the one that alice has."""

    def act(scene: Scene) -> None:
        scene.here.post(f"{PASSKEYS}{Row.objects.get().pk}/", fields)

    return act


def use_a_copy(scene: Scene) -> None:
    """``there``, of a key that has been used more often than the copy says."""
    copy = registered(scene.alice, counts=True)
    Row.objects.update(sign_count=5)
    scene.there.cookies.pop("sessionid", None)
    answer = copy.get(options_on(scene.there.get(LOGIN).text))
    scene.there.post(LOGIN_PASSKEY, {"credential": answer})


def wait_for_the_second_step(scene: Scene) -> None:
    """``there``, the password shown and the passkey at hand."""
    scene.passkey = registered(scene.alice)
    scene.there.cookies.pop("sessionid", None)
    assert sign_in(scene.there, "alice").url == CHALLENGE


def trust_a_browser(scene: Scene) -> None:
    answer = scene.passkey.get(options_on(scene.there.get(CHALLENGE).text))
    scene.there.post(CHALLENGE, {"credential": answer, "trust": "on"})


def have_a_trusted_browser(scene: Scene) -> None:
    wait_for_the_second_step(scene)
    trust_a_browser(scene)


def end_the_trust(scene: Scene) -> None:
    scene.here.post(TRUSTED, {"all": "1"})


PASSKEY_WAYS = {
    "passkey_added": Way(add_a_passkey, proof="passkey"),
    "passkey_renamed": Way(post_to_the_passkey(name="Laptop"), prepare=show_a_passkey),
    "passkey_removed": Way(
        post_to_the_passkey(remove="1"), proof="pwd mail passkey", prepare=show_a_passkey
    ),
    "passkey_suspect": Way(use_a_copy, THERE, in_session=False),
    "browser_trusted": Way(trust_a_browser, THERE, prepare=wait_for_the_second_step),
    "trust_ended": Way(end_the_trust, prepare=have_a_trusted_browser),
}
