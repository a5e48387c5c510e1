"""Lists the secrets that a member of staff created, and so may still know after leaving.

``accounts.oauth`` adds the secrets of apps to ``SOURCES``, because nothing imports it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.apikeys import services as apikeys
from accounts.invitations.models import Invitation
from accounts.users.models import User


@dataclass(frozen=True)
class Known:
    """A secret that a member of staff created, and the button that replaces or ends it.

    ``action``: the text of the button. It posts ``fields`` to ``url``.
    """

    kind: Promise
    label: str
    since: datetime
    action: Promise
    url: str
    fields: Mapping[str, str] = field(default_factory=dict)


def secret_of(kind: Promise, label: object, since: datetime, page: str, pk: object) -> Known:
    """Return the secret named ``label``, with a button that replaces it at once on ``page``."""
    fields = {"now": "1", "reason": str(_("Somebody who knows the secret leaves the team."))}
    url = reverse(f"admin:{page}", args=[pk])
    return Known(kind, str(label), since, _("Revoke it and create a new one"), url, fields)


def _invitations(user: User) -> Iterator[Known]:
    for row in Invitation.objects.filter(invited_by=user).order_by("-created_at"):
        url = reverse("admin:accounts_invitation_delete", args=[row.pk])
        yield Known(_("Invitation"), row.email, row.created_at, _("Revoke"), url)


def _keys(user: User) -> Iterator[Known]:
    url = reverse("admin:accounts_user_act", args=[user.pk, "revoke-keys"])
    for row in apikeys.of(user):
        fields = {"target": row.pk, "reason": str(_("You leave the team."))}
        yield Known(_("API key"), row.label, row.made_at, _("Remove"), url, fields)


SOURCES: list[Callable[[User], Iterator[Known]]] = [_keys, _invitations]


def of(user: User) -> list[Known]:
    """Return the secrets that ``user`` created and that still work."""
    return [known for source in SOURCES for known in source(user)]
