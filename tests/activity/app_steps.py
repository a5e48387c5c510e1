"""Steps that cause the events of connected apps."""

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.oauth import connections
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from tests.activity.event_steps import IPHONE, THERE, Scene
from tests.support.apps import asked_for, connect_app, make_app, the_app

ACTOR = Actor(ClientInfo(THERE[0], IPHONE))


def have_an_app(_scene: Scene) -> None:
    make_app()


def agree_to_the_app(scene: Scene) -> None:
    connections.agree(asked_for(the_app()), scene.alice, ACTOR)


def have_a_connected_app(scene: Scene) -> LoginSession:
    return connect_app(LoginSession.objects.filter(user=scene.alice).latest("pk"), make_app())


def disconnect_the_app(scene: Scene) -> None:
    scene.here.post(f"/accounts/apps/{the_app().pk}/")


def use_the_code_twice(scene: Scene) -> None:
    sessions.revoke(scene.prepared, reason=events.CODE_REUSED, actor=ACTOR)
