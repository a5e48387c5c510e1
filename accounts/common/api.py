"""Shared parts of the JSON API: validation, parsing, and serializer fields."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from io import BytesIO
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import negotiation, parsers, serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.settings import api_settings

# The maximum number of opening brackets in a request body. Brackets in strings count, too, and a
# password may contain a thousand of them.
MOST_OPENED = 2000
# Errors repeat the names of unknown members that match, and only quote the beginning of others. The
# excluded words are members of errors themselves.
NAME = re.compile(r"(?!(?:detail|errors|request_id)$)[A-Za-z0-9_.-]{1,64}")
MOST_NAMED, LONGEST_QUOTED = 20, 32


class Open:
    """Mixin for API views that need no credentials. Views without it require credentials."""

    authentication_classes: Any = ()
    permission_classes: Any = ()


def operation[F: Callable[..., Any]](
    id: str,
    request: Any = None,
    response: Any = serializers.empty,
    *,
    status: int = 0,
    **more: Any,
) -> Callable[[F], F]:
    """Declare how the API description and generated clients describe a method of an API view.

    ``id``: the name of the method there.
    ``request``, ``response``: the serializers of the bodies; None if there is no body. REST
        framework describes the response of a list itself.
    ``status``: the status of the response, unless it is 200, or 204 without a body.
    """
    if response is None or status:
        response = {status or 204: response}
    if response is not serializers.empty:
        more["responses"] = response
    return extend_schema(operation_id=id, request=request, **more)


def valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """Return the validated data of ``serializer``, and refuse unknown members.

    If unknown members were ignored, a client that misspells a member would get a success response.

    Raises:
        ValidationError: a member is invalid, or the serializer has no field for it.
    """
    unknown = _unknown(serializer)
    if not serializer.is_valid() or unknown:
        raise serializers.ValidationError({**serializer.errors, **unknown})
    data: dict[str, Any] = serializer.validated_data
    return data


def _unknown(serializer: serializers.Serializer[Any]) -> dict[str, list[ErrorDetail]]:
    sent = serializer.initial_data
    return unknown(sent, serializer.fields) if isinstance(sent, Mapping) else {}


def unknown(sent: Iterable[str], known: Collection[str]) -> dict[str, list[ErrorDetail]]:
    """Return an error for each of the first ``MOST_NAMED`` names that are not ``known``, by name.

    If a name has unusual characters, its error quotes the name and is a non-field error.
    """
    errors: dict[str, list[ErrorDetail]] = {}
    for name in [name for name in sent if name not in known][:MOST_NAMED]:
        if NAME.fullmatch(name):
            errors[name] = [ErrorDetail(_("Unknown field."), "unknown")]
        else:
            sentence = _("Unknown field: %(name)s.") % {"name": ascii(name[:LONGEST_QUOTED])}
            errors.setdefault(api_settings.NON_FIELD_ERRORS_KEY, []).append(
                ErrorDetail(sentence, "unknown")
            )
    return errors


class JSONParser(parsers.JSONParser):
    """A JSON parser (RFC 8259) that refuses bodies with more than ``MOST_OPENED`` opening brackets.

    Python can parse ten thousand nested objects. Serializing them again would overflow the small
    stack of a server thread and crash the process, and no call needs that many lists and objects.
    """

    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> Any:
        body = stream.read()
        if body.count(b"{") + body.count(b"[") > MOST_OPENED:
            raise ParseError
        try:
            return super().parse(BytesIO(body), *args, **kwargs)
        except (ParseError, RecursionError):
            # Without the detail of REST framework, which is in English.
            raise ParseError from None


class AlwaysJSON(negotiation.DefaultContentNegotiation):
    """Ignores the ``Accept`` header and selects JSON, as RFC 9110 section 12.4.1 allows."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class _Copied:
    """Makes serializers copy their declared fields.

    REST framework creates each field anew instead, which takes longer. A shallow copy is enough,
    because only ``bind`` changes a field after its creation.
    """

    def __deepcopy__(self, _memo: Any) -> Any:
        copied = self.__class__.__new__(self.__class__)
        copied.__dict__ = self.__dict__.copy()
        return copied


class ChoiceField(_Copied, serializers.ChoiceField):
    """A field that accepts one of a fixed set of strings.

    The error does not repeat an invalid value, which may be a megabyte long. Values of other types
    are refused, because the base class would convert even deeply nested lists to strings.
    """

    default_error_messages = {
        "invalid_choice": gettext_lazy("Choose one of the available options.")
    }

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice")
        choice: str = super().to_internal_value(data)
        return choice


class TextField(_Copied, serializers.CharField):
    """A field that accepts strings only. The base class would accept 12345 as a password, too."""

    # The maximum length before surrounding spaces are removed, as a multiple of ``max_length``.
    longest = 1

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and not isinstance(data, str | None):
            self.fail("invalid")
        # Refuse overlong text early, because the later steps are slow.
        if self.max_length and isinstance(data, str) and len(data) > self.longest * self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().run_validation(data)


class CanonicalField(TextField):
    """A field whose text is converted by the function ``clean`` before its length is checked."""

    # The stored form may be shorter than the text.
    longest = 4

    def __init__(self, clean: Callable[[str], str], **options: Any) -> None:
        super().__init__(**options)
        self.clean = clean

    def to_internal_value(self, data: Any) -> str:
        return self.clean(super().to_internal_value(data))


class TextListField(_Copied, serializers.ListField):
    """A field that accepts a list of at most 100 strings."""

    child = TextField(max_length=150)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, **options)

    def run_child_validation(self, data: list[Any]) -> list[str]:
        # Raise only the first error. The client expects a list of sentences, not errors by
        # position.
        return [self.child.run_validation(item) for item in data]
