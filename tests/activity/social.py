"""Every kind of event of sign-ins with other sites, as real requests bring it about."""

from accounts.identities.models import Identity
from tests.activity.steps import Scene, Way
from tests.support.openid_provider import OpenIDProvider
from tests.support.social import configured, through


def come_with_an_identity(scene: Scene) -> None:
    with OpenIDProvider() as op:
        configured(scene.settings, op.setting())
        through(scene.here, op, act="connect")


def connect(scene: Scene) -> None:
    scene.here.post("/accounts/3rdparty/confirm/", {"connect": "1"})


def come_and_connect(scene: Scene) -> None:
    come_with_an_identity(scene)
    connect(scene)


def disconnect(scene: Scene) -> None:
    scene.here.post("/accounts/3rdparty/", {"disconnect": Identity.objects.get().pk})


SOCIAL_WAYS = {
    "provider_connected": Way(connect, proof="pwd mail", prepare=come_with_an_identity),
    "provider_disconnected": Way(disconnect, proof="pwd mail", prepare=come_and_connect),
}
