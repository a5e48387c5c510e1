"""What all calls of the API share: JSON in and out, whatever a client sends; lists by pages."""

import re
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import negotiation, pagination, parsers, serializers
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.settings import api_settings

PAGE_SIZE = 50
# Brackets in strings are counted, too: a password may be a thousand of them.
MOST_OPENED = 2000
# Members that no field is for: how they are written, and how many of them an error names.
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_NAMED, LONGEST_QUOTED = 20, 32


class Open:
    """For a view that needs no credentials. Every other one is closed."""

    authentication_classes: Any = ()
    permission_classes: Any = ()


def valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """Return what was sent, clean; raise ``ValidationError``, also for members without a field.

    A client that misspells a member, or wants to change what cannot be changed, must not be told
    that all is well.
    """
    unknown = _unknown(serializer)
    if not serializer.is_valid() or unknown:
        raise serializers.ValidationError({**serializer.errors, **unknown})
    data: dict[str, Any] = serializer.validated_data
    return data


def _unknown(serializer: serializers.Serializer[Any]) -> dict[str, list[str]]:
    """Return an error for each of the first members that ``serializer`` has no field for.

    A name that is not written as names are cannot be the name of an error: it is quoted in one.
    """
    sent = serializer.initial_data
    names = (
        [name for name in sent if name not in serializer.fields] if isinstance(sent, dict) else []
    )
    errors: dict[str, list[str]] = {}
    for name in names[:MOST_NAMED]:
        if NAME.fullmatch(name) and name != "detail":
            errors[name] = [_("This call does not know this member.")]
        else:
            sentence = _("This call does not know the member %(name)s.")
            quoted = ascii(name[:LONGEST_QUOTED])
            errors.setdefault(api_settings.NON_FIELD_ERRORS_KEY, []).append(
                sentence % {"name": quoted}
            )
    return errors


class JSONParser(parsers.JSONParser):
    """JSON (RFC 8259), of a depth that nothing behind it can stumble over.

    The interpreter follows ten thousand objects in objects. In a thread of the server, whose stack
    is small, making a text of them would end the process, and with it the site: so a body may
    open so many lists and objects in all, which no call needs.
    """

    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> Any:
        """What the body says; ``ParseError``."""
        body = stream.read()
        if body.count(b"{") + body.count(b"[") > MOST_OPENED:
            raise ParseError
        try:
            return super().parse(BytesIO(body), *args, **kwargs)
        except RecursionError:
            raise ParseError from None


class AlwaysJSON(negotiation.BaseContentNegotiation):
    """JSON is answered whatever ``Accept`` says (RFC 9110 section 12.4.1 allows it)."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """By the media type of the body."""
        return negotiation.DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The only one."""
        return renderers[0], renderers[0].media_type


class Pages(pagination.PageNumberPagination):
    """A list, ``?page=`` at a time; its links begin with ``ORIGIN``, whatever Host was sent."""

    page_size = PAGE_SIZE
    last_page_strings = ()

    def get_page_number(self, request: Request, paginator: Any) -> str:
        """A number, or there is no such page: not even for an empty one."""
        page = request.query_params.get(self.page_query_param, "1")
        if not re.fullmatch(r"[0-9]{1,9}", page):
            raise NotFound
        return page

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page as OpenAPI 3.1 does, which lacks the base class's ``nullable``."""
        link = {"type": ["string", "null"], "format": "uri"}
        members = {"count": {"type": "integer"}, "next": link, "previous": link, "results": schema}
        return {"type": "object", "properties": members, "required": list(members)}

    def get_next_link(self) -> str | None:
        """The next page."""
        return _public(super().get_next_link())

    def get_previous_link(self) -> str | None:
        """The page before."""
        return _public(super().get_previous_link())


def _public(address: str | None) -> str | None:
    if address is None:
        return None
    return settings.AUTHSITE.origin + urlunsplit(("", "", *urlsplit(address)[2:]))


class ChoiceField(serializers.ChoiceField):
    """One of some strings. What was sent instead isn't repeated: it may be a megabyte, or no text.

    The base class would make a string of anything, also of lists in lists without end.
    """

    default_error_messages = {"invalid_choice": gettext_lazy("No such choice.")}

    def to_internal_value(self, data: Any) -> str:
        """The string; ``ValidationError``."""
        if not isinstance(data, str):
            self.fail("invalid_choice")
        choice: str = super().to_internal_value(data)
        return choice


class TextField(serializers.CharField):
    """A string, and nothing that could be read as one: 12345 is no password."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """The string; ``ValidationError``. The base class would make a string of anything."""
        if data is not serializers.empty and not isinstance(data, str | None):
            self.fail("invalid")
        # Before anything is done to it that takes time; its own form may be shorter.
        if self.max_length and isinstance(data, str) and len(data) > 4 * self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().run_validation(data)
