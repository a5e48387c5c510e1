"""Steps of carol, who is staff, that cause events."""

from typing import Any

from django.contrib.auth.models import Group, Permission

from accounts.invitations.models import Invitation
from accounts.oauth.models import RegistrationToken
from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.support import api_keys as keys
from tests.support import apps as app_steps
from tests.support.activity.event_steps import Act, Scene
from tests.support.administration import act
from tests.support.steps import address_of, make_staff, outbox, path_of, sign_in_twice


def carol_signs_in(scene: Scene) -> None:
    assert sign_in_twice(scene.visitor, make_staff("carol")).url == "/"


def carol_changes(**fields: str) -> Act:
    """Return an act in which carol, a superuser, posts the admin's form for alice."""
    return lambda s: s.visitor.post(f"/admin/accounts/user/{s.alice.pk}/change/", fields)


def carol_gives_a_permission(scene: Scene) -> Any:
    permission = Permission.objects.get(codename="view_user")
    return carol_changes(user_permissions=str(permission.pk))(scene)


def carol_registers_an_app(scene: Scene) -> Any:
    return app_steps.register(scene.visitor)


def carol_changes_the_app(scene: Scene) -> Any:
    return app_steps.change(scene.visitor, name="Wiki")


def carol_acts_on_the_app(act: str, **fields: str) -> Act:
    return lambda scene: app_steps.act(scene.visitor, act, **fields)


def carol_revokes_the_token(scene: Scene) -> Any:
    token = RegistrationToken.objects.get()
    return scene.visitor.post(f"/admin/oauth/registrationtoken/{token.pk}/delete/")


def carol_acts(name: str) -> Act:
    """Return an act of the support desk by carol on alice."""
    return lambda s: act(s.visitor, s.alice, name)


def have_a_key_for_staff(scene: Scene) -> None:
    """Make alice staff with an API key, and let carol sign in."""
    carol_signs_in(scene)
    User.objects.filter(pk=scene.alice.pk).update(is_staff=True)
    scene.alice.groups.add(Group.objects.get(name="Support"))
    keys.key_of(scene.alice)


def carol_allows_a_key(scene: Scene) -> Any:
    key = scene.alice.api_keys.get()
    return act(scene.visitor, scene.alice, "allow-key", target=f"{key.pk} act")


def carol_becomes_an_auditor(scene: Scene) -> None:
    carol_signs_in(scene)
    User.objects.filter(username="carol").update(is_superuser=False)
    User.objects.get(username="carol").groups.add(Group.objects.get(name="Auditor"))


def carol_reads_details(scene: Scene) -> Any:
    return act(scene.visitor, scene.alice, "details")


def carol_ends_a_session(scene: Scene) -> Any:
    session = LoginSession.objects.filter(user=scene.alice, ended_at=None).earliest("begun_at")
    return act(scene.visitor, scene.alice, "end-sessions", target=str(session.pk))


def carol_invites(*, rights: bool = False) -> Act:
    """Return an act in which carol invites dave, also to become staff if ``rights`` is set."""
    fields = {"email": address_of("dave"), "days": "7"} | ({"is_staff": "on"} if rights else {})
    return lambda s: s.visitor.post("/admin/accounts/invitation/add/", fields)


def carol_revokes(scene: Scene) -> Any:
    invitation = Invitation.objects.get()
    return scene.visitor.post(f"/admin/accounts/invitation/{invitation.pk}/delete/")


def invitation_link(_scene: Scene) -> str:
    return path_of(outbox()[-1].action_url)
