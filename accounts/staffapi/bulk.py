"""The bulk call of the staff API: acts on many people, each in a line of JSON."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any, cast

from django.db import IntegrityError, transaction
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers, views
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.services import Actor
from accounts.administration import acts, bulk, changes
from accounts.administration.roles import NotInRole
from accounts.calls import idempotency
from accounts.calls.serializers import require
from accounts.common import clock
from accounts.common.api import ChoiceField, JSONParser, operation, valid
from accounts.common.errors import PublicError
from accounts.mail.services import mass_mail
from accounts.sessions.current import actor_of
from accounts.staffapi import creation
from accounts.staffapi.api import ChangeSerializer, ForStaff, ReasonSerializer
from accounts.users.models import User
from accounts.users.rights import ACTING, role_of

MOST_LINES = 1000
CREATE, CHANGE = "create", "change"


class LinesParser(BaseParser):
    """Splits a body into lines without parsing them, so that a bad line does not affect others."""

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, *_args: Any, **_options: Any) -> Any:
        lines = [line for line in stream.read().split(b"\n") if line.strip()]
        if len(lines) > MOST_LINES:
            raise ParseError
        return lines


class WhatSerializer(serializers.Serializer[Any]):
    """The act of a line, and the account."""

    act = ChoiceField([CREATE, CHANGE, *bulk.KINDS])
    id = serializers.UUIDField(required=False)


class BulkResultSerializer(serializers.Serializer[Any]):
    """The result of a line."""

    line = serializers.IntegerField(help_text="From 1; empty lines do not count.")
    status = serializers.IntegerField(help_text="That of the call which does the same alone.")
    id = serializers.UUIDField(
        allow_null=True, help_text="Of the account, or of the invitation that was created."
    )
    error = serializers.DictField(allow_null=True, help_text="As the call alone answers it.")


class BulkResultsSerializer(serializers.Serializer[Any]):
    """The results of all lines, in order."""

    results = BulkResultSerializer(many=True)


@dataclass(frozen=True)
class Line:
    """A parsed line. ``fields``: the members of the corresponding call for one account."""

    number: int
    text: bytes
    act: str
    id: uuid.UUID | None
    fields: dict[str, Any]


class BulkView(views.APIView):
    """Act on many accounts."""

    area = "admin"
    permission_classes = (ForStaff,)
    parser_classes = (LinesParser,)

    @operation(
        "act_on_accounts",
        {LinesParser.media_type: OpenApiTypes.BINARY},
        BulkResultsSerializer,
        parameters=[idempotency.KEY],
    )
    def post(self, request: Request) -> Response:
        """Create, change, deactivate or delete many accounts; each line is a JSON object.

        `act` is `create`, `change`, `deactivate`, `reactivate`, `delete`, `undo-deletion` or
        `end-sessions`, and `id` the account. The other members are those of the call that does the
        same alone. Each line has its own result. At most 1,000 lines; 100 count as one act. If they
        concern more than 20 people, superusers get one email about all of them, and one about each
        change that gives rights.
        """
        texts = cast(list[bytes], request.data)
        staff, actor = cast(User, request.user), actor_of(request._request)
        if role_of(staff) not in ACTING:
            raise NotInRole
        acts.count(staff, actor, len(texts))
        read = [self._tried(partial(_read, n, text)) for n, text in enumerate(texts, 1)]
        lines = [line for line in read if isinstance(line, Line)]
        users = User.objects.in_bulk([line.id for line in lines if line.id])
        actor = _announced(staff, actor, lines)
        with mass_mail():
            answers = [
                self._tried(partial(self._do, line, actor, users))
                if isinstance(line, Line)
                else line
                for line in read
            ]
        results = [{"line": n, **_result(answer)} for n, answer in enumerate(answers, 1)]
        return Response({"results": results})

    def _tried[T](self, do: Callable[[], T]) -> T | Response:
        """Call ``do`` and return its result, or the response to a client error that it raises."""
        try:
            return do()
        except (APIException, PublicError, Http404, IntegrityError) as error:
            response = self.get_exception_handler()(error, self.get_exception_handler_context())
            if response is None or response.status_code >= 500:
                raise
            return response

    def _do(self, line: Line, actor: Actor, users: Mapping[Any, User]) -> Response:
        staff = cast(User, self.request.user)
        if line.act == CREATE:
            create = partial(creation.create, self.request, actor, line.fields, is_limited=False)
            again = partial(creation.again, self.request)
            return idempotency.once(self.request, create, again, part=(line.number, line.text))
        if line.id not in users:
            raise Http404
        user = users[line.id]
        if line.act == CHANGE:
            data = valid(ChangeSerializer(data=line.fields))
            actor, groups = replace(actor, reason=data.pop("reason")), data.pop("groups", None)
            changes.change(user, staff, actor, profile=data, groups=groups, is_limited=False)
        else:
            reason = valid(ReasonSerializer(data=line.fields))["reason"]
            acts.perform(line.act, staff, actor, user, reason=reason, is_limited=False)
        return Response({"account": {"id": line.id}})


def _announced(staff: User, actor: Actor, lines: list[Line]) -> Actor:
    """Notify the other superusers if ``lines`` concern many people; return the actor of the acts.

    Superusers get this email, and one for each change that gives rights. The acts of the last hour
    count, too, so that splitting a call does not avoid the email.
    """
    recent = activity.all_of(staff).filter(at__gt=clock.now() - timedelta(hours=1))
    earlier = recent.filter(kind=events.STAFF_ACTED.name)[: acts.UNNOTICED]
    if len(lines) + len(earlier) <= acts.UNNOTICED:
        return actor
    what = ", ".join(dict.fromkeys(line.act for line in lines))
    with transaction.atomic():
        acts.tell_of_many(staff, actor.as_staff(staff), what, len(lines))
    return replace(actor, is_announced=True)


def _read(number: int, text: bytes) -> Line:
    """Parse a line.

    Raises:
        ParseError: it is not a JSON object.
        ValidationError: ``act`` is missing or unknown, or ``id`` is missing or malformed.
    """
    fields = JSONParser().parse(BytesIO(text))
    if not isinstance(fields, dict):
        raise ParseError
    names = {"act", "id"} & fields.keys()
    what = valid(WhatSerializer(data={name: fields[name] for name in names}))
    if what["act"] == CREATE:
        # A new account has no id yet, so the call refuses the member.
        names -= {"id"}
    else:
        require(what, ("id",))
    rest = {name: value for name, value in fields.items() if name not in names}
    return Line(number, text, what["act"], what.get("id"), rest)


def _result(answer: Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        return {"status": answer.status_code, "id": None, "error": answer.data}
    made = answer.data["account"] or answer.data["invitation"]
    return {"status": answer.status_code, "id": made["id"], "error": None}
