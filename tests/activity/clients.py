"""Every kind of event of programs that sign in over the API, as real calls bring it about."""

from tests.activity.steps import THERE, Scene, Way, iphone
from tests.support.api import Answer, call, renew
from tests.support.steps import PASSWORD


def sign_in(_scene: Scene) -> Answer:
    """With a program ``there``; that a browser is known there says nothing of programs."""
    return call("token/", {"username": "alice", "password": PASSWORD}, client=iphone())


def have_tokens(scene: Scene) -> None:
    scene.refresh = sign_in(scene)["refresh"]


def have_renewed_twice(scene: Scene) -> None:
    """So that no answer to the first can have been lost."""
    have_tokens(scene)
    renew(renew(scene.refresh, iphone())["refresh"], iphone())


def sign_out(scene: Scene) -> None:
    call("token/revoke/", {"token": scene.refresh}, client=iphone())


def use_a_token_again(scene: Scene) -> None:
    renew(scene.refresh, iphone())


CLIENT_WAYS = {
    "client_signed_in": Way(sign_in, THERE, proof="pwd", prepare=sign_in),
    "client_signed_in_new": Way(sign_in, THERE, proof="pwd"),
    "client_signed_out": Way(sign_out, THERE, prepare=have_tokens),
    "token_reused": Way(use_a_token_again, THERE, prepare=have_renewed_twice),
}
