"""Steps that cause the events of connected apps."""

from typing import Any

from tests.support.activity.event_steps import Scene, iphone
from tests.support.apps import the_app
from tests.support.authorize import VERIFIER, allow, begin, result
from tests.support.devices import new_device, type_code
from tests.support.oauth_client import Answer, App, new_app
from tests.support.registration import new_token, self_register


def have_an_app(_scene: Scene) -> App:
    app = new_app()
    app.browser = iphone()
    return app


def agree_to_the_app(scene: Scene) -> Any:
    return allow(scene.here, begin(scene.here, the_app()))


def have_a_device(_scene: Scene) -> Answer:
    return new_device()[1]


def allow_a_device(scene: Scene) -> Any:
    return allow(scene.here, type_code(scene.here, scene.prepared["user_code"]))


def have_a_connected_app(scene: Scene) -> tuple[App, str]:
    """Return the app and the code that it has redeemed."""
    app = have_an_app(scene)
    code = result(agree_to_the_app(scene))["code"]
    assert app.redeem(code, code_verifier=VERIFIER).status == 200
    return app, code


def disconnect_the_app(scene: Scene) -> None:
    scene.here.post(f"/accounts/apps/{the_app().pk}/")


def use_the_code_twice(scene: Scene) -> None:
    app, code = scene.prepared
    app.redeem(code, code_verifier=VERIFIER)


def have_a_registration_token(_scene: Scene) -> str:
    return new_token()


def register_an_app(scene: Scene) -> None:
    self_register(scene.prepared, browser=scene.visitor)
