"""Every kind of event of sign-ins with other sites, as real requests bring it about."""

import contextlib

from accounts.identities.models import Identity
from tests.activity.steps import Scene, Way
from tests.support.openid_provider import OpenIDProvider
from tests.support.social import come_back, configured, go

# At the provider: from the one step to the other.
THERE: list[tuple[OpenIDProvider, str]] = []


def go_there(scene: Scene) -> None:
    op = OpenIDProvider().__enter__()
    configured(scene.settings, op.setting())
    THERE.append((op, go(scene.here, act="connect")))


def connect(scene: Scene) -> None:
    op, url = THERE.pop()
    with contextlib.closing(op):
        come_back(scene.here, op.answer(url))


def go_and_connect(scene: Scene) -> None:
    go_there(scene)
    connect(scene)


def disconnect(scene: Scene) -> None:
    scene.here.post("/accounts/3rdparty/", {"disconnect": Identity.objects.get().pk})


SOCIAL_WAYS = {
    "provider_connected": Way(connect, proof="pwd mail", prepare=go_there),
    "provider_disconnected": Way(disconnect, proof="pwd mail", prepare=go_and_connect),
}
