"""Steps of tests about webhooks."""

import json
from typing import Any

from django.contrib.auth.models import Group

from accounts.activity.events import TYPES
from accounts.activity.services import Actor
from accounts.webhooks import services
from accounts.webhooks.models import Endpoint
from tests.support.process import within
from tests.support.receiver import Receiver


def told_at(url: str, *kinds: str, groups: tuple[Group, ...] = (), **fields: Any) -> Endpoint:
    """Return an endpoint, with its secret, that hears of ``kinds``, by default of everything."""
    ids = [group.pk for group in groups]
    given = {"description": url, "is_private": True, "kinds": list(kinds or TYPES)} | fields
    endpoint = Endpoint(url=url, groups=ids, **given)
    endpoint.new_secret = services.save_endpoint(endpoint, Actor())
    return endpoint


def send_all(sender: Any = None) -> None:
    """Send what is due, and wait until it is sent or has failed."""
    sender = sender or services.sender()
    assert within(30, lambda: not sender.send_due())


def told(receiver: Receiver, path: str = "/hook") -> list[dict[str, Any]]:
    """Return the bodies of the webhooks that came at ``path``."""
    return [json.loads(body) for there, _headers, body in receiver.sent if there == path]


def types_at(receiver: Receiver, path: str = "/hook") -> list[str]:
    return [each["type"] for each in told(receiver, path)]
