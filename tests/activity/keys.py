"""Every kind of event of API keys, as real requests and commands bring it about."""

from django.core.management import call_command

from accounts.apikeys.models import APIKey
from tests.activity.steps import NOWHERE, Scene, Way
from tests.attacks.key_steps import FORM, KEYS, NEW


def make_a_key(scene: Scene) -> None:
    """``here``; it ends in a month."""
    scene.here.post(NEW, FORM)


def end_the_key(scene: Scene) -> None:
    scene.here.post(KEYS, {"end": APIKey.objects.get().pk})


def wait_for_the_last_week(scene: Scene) -> None:
    make_a_key(scene)
    scene.clock.advance(days=23, minutes=-1)
    call_command("prune", verbosity=0)
    scene.clock.advance(minutes=1)


KEY_WAYS = {
    "key_made": Way(make_a_key),
    "key_ended": Way(end_the_key, prepare=make_a_key),
    "key_expires": Way(
        lambda _: call_command("prune", verbosity=0),
        NOWHERE,
        in_session=False,
        prepare=wait_for_the_last_week,
    ),
}
