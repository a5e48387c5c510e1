"""Acts by which superusers allow keys of staff to use the staff API, and withdraw that right."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.administration.act import Act
from accounts.administration.errors import AlreadyDone
from accounts.administration.steps import Order, Target, tell_superusers
from accounts.apikeys import access
from accounts.apikeys import services as apikeys
from accounts.users.models import User
from accounts.users.rights import Role, role_of


def keys_to_allow(user: User) -> list[Target]:
    """Return what each key of a user could be allowed to do: to read, or also to act."""
    if role_of(user) is None:
        return []
    labels = {
        access.READ: _("%(key)s: find and view people"),
        access.ACT: _("%(key)s: find, view and act on people"),
    }
    return [
        Target(f"{key.pk} {wanted}", label % {"key": key.label})
        for key in apikeys.of(user)
        if not key.is_over
        for wanted, label in labels.items()
        if key.staff_access != access.SCOPES[wanted]
    ]


def allow(order: Order) -> None:
    """Let the key use the staff API."""
    key_id, _space, wanted = order.target.partition(" ")
    _set(order, key_id, access.SCOPES[wanted])


def allowed_keys(user: User) -> list[Target]:
    """Return the keys of a user that may use the staff API."""
    return [Target(key.pk, key.label) for key in apikeys.of(user) if key.staff_access]


def withdraw(order: Order) -> None:
    """Stop the key from using the staff API."""
    _set(order, order.target, frozenset())


def _set(order: Order, key_id: str, scope: frozenset[str]) -> None:
    if not access.set_access(order.user, key_id, scope, order.actor):
        raise AlreadyDone
    tell_superusers(order.user, order.actor)


_ONLY_SUPERUSERS = frozenset({Role.SUPERUSER})

ACTS = (
    Act(
        "allow-key",
        gettext_lazy("Let an API key use the staff API"),
        gettext_lazy(
            "A program with the key can then do what the role of its owner allows, without a "
            "second factor. This ends with the key, and with every change of the owner’s rights."
        ),
        gettext_lazy("“An API key may use the staff API” in their activity, and an email."),
        allow,
        targets=keys_to_allow,
        is_severe=True,
        roles=_ONLY_SUPERUSERS,
        is_in_api=False,
    ),
    Act(
        "withdraw-key",
        gettext_lazy("Stop an API key from using the staff API"),
        gettext_lazy("The key stays and keeps its other rights."),
        gettext_lazy(
            "“An API key may no longer use the staff API” in their activity, and an email."
        ),
        withdraw,
        targets=allowed_keys,
        roles=_ONLY_SUPERUSERS,
        is_in_api=False,
    ),
)
