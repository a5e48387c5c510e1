"""The lists of the API, by page or by cursor, and the check of query parameters."""

import json
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework import pagination, serializers
from rest_framework.exceptions import ErrorDetail, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.common import crypto
from accounts.common.api import unknown
from accounts.common.pages import PAGE_SIZE

PAGE, AFTER = "page", "after"


def parameters_of(view: Any, method: str) -> set[str]:
    """Return the names of the query parameters that ``view`` accepts for ``method``.

    A view lists its own parameters in the attribute ``parameters``. Only GET accepts any.
    """
    if method != "GET":
        return set()
    named = {parameter.name for parameter in getattr(view, "parameters", ())}
    # ``list`` is the method of REST framework's views that make lists.
    return named | {PAGE, AFTER} if hasattr(view, "list") else named


def faults_of(query: QueryDict, view: Any, method: str) -> dict[str, list[ErrorDetail]]:
    """Return the errors of query parameters that are repeated, or that ``view`` does not accept.

    If they were ignored, a client that misspells a filter would get every row, and a client that
    repeats one would get the rows of the last.
    """
    known = parameters_of(view, method)
    errors = unknown(query, known)
    for name in sorted(known):
        if len(query.getlist(name)) > 1:
            errors[name] = [ErrorDetail(_("Send this once."), "invalid")]
    return errors


class Lists(pagination.PageNumberPagination):
    """Paginates lists by ``?page=``, or by ``?after=`` if they grow while a client reads them.

    The first request by cursor has an empty ``after``. A cursor contains the values by which the
    last row is sorted. It is encrypted, so clients cannot read or invent values, and a cursor is
    valid only for the same list in the same order.

    Links begin with ``ORIGIN``, because a client can forge the Host header.
    """

    page_size = PAGE_SIZE
    last_page_strings = ()
    request: Request
    # Whether the request is by cursor; and the cursor of the next rows, if there are any.
    is_by_cursor = False
    following = ""

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        """Return the rows of the page that the request names.

        Raises:
            NotFound: there is no such page.
            ValidationError: the cursor is not valid for this list, or the request has a page
                number, too.
        """
        self.is_by_cursor = AFTER in request.query_params
        if not self.is_by_cursor:
            return super().paginate_queryset(queryset, request, view)
        if PAGE in request.query_params:
            raise serializers.ValidationError({PAGE: [_("Send a page or a cursor, not both.")]})
        self.request, cursor = request, request.query_params[AFTER]
        if not isinstance(queryset, QuerySet):
            # A list that is not a query has few rows, and the first answer contains all of them.
            return [] if cursor else list(queryset)
        order = _total_order(queryset)
        if cursor:
            queryset = queryset.filter(_is_after(order, self._values(cursor, order)))
        rows = list(queryset.order_by(*order)[: PAGE_SIZE + 1])
        if len(rows) > PAGE_SIZE:
            rows.pop()
            self.following = self._cursor(rows[-1], order)
        return rows

    def _cursor(self, row: Model, order: list[str]) -> str:
        values = [str(getattr(row, name.lstrip("-"))) for name in order]
        return crypto.seal(json.dumps(values), self._purpose(order))

    def _values(self, cursor: str, order: list[str]) -> list[str]:
        try:
            values: list[str] = json.loads(crypto.unseal(cursor, self._purpose(order)))
        except InvalidToken:
            fault = _("This cursor is not valid here.")
            raise serializers.ValidationError({AFTER: [fault]}) from None
        return values

    def _purpose(self, order: list[str]) -> str:
        return f"cursor of {self.request.path} by {' '.join(order)}"

    def get_page_number(self, request: Request, paginator: Any) -> str:
        # The base class would treat an empty page number as 1, and accept digits of other scripts.
        page = request.query_params.get(self.page_query_param, "1")
        if not re.fullmatch(r"[0-9]{1,9}", page):
            raise NotFound
        return page

    def get_paginated_response(self, data: Any) -> Response:
        if not self.is_by_cursor:
            return super().get_paginated_response(data)
        return Response({"next": self.get_next_link(), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        # OpenAPI 3.1 has no ``nullable``, which the base class uses.
        link = {"type": ["string", "null"], "format": "uri"}
        missing = {"description": "Missing in a list by cursor."}
        members = {
            "count": {"type": "integer", **missing},
            "next": link,
            "previous": {**link, **missing},
            "results": schema,
        }
        return {"type": "object", "properties": members, "required": ["next", "results"]}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        after = {
            "name": AFTER,
            "in": "query",
            "description": "The cursor in `next`; empty for the first results by cursor.",
            "schema": {"type": "string"},
        }
        return [*super().get_schema_operation_parameters(view), after]

    def get_next_link(self) -> str | None:
        if not self.is_by_cursor:
            return _public(super().get_next_link())
        if not self.following:
            return None
        url = self.request.build_absolute_uri()
        return _public(replace_query_param(url, AFTER, self.following))

    def get_previous_link(self) -> str | None:
        return _public(super().get_previous_link())


def _public(url: str | None) -> str | None:
    if url is None:
        return None
    return settings.AUTHSITE.origin + urlunsplit(("", "", *urlsplit(url)[2:]))


def _total_order(rows: QuerySet[Any]) -> list[str]:
    """Return the names of fields by which ``rows`` are sorted, so that no two rows are equal."""
    names = [str(name) for name in rows.query.order_by]
    key = rows.model._meta.pk.name
    is_total = any(name.lstrip("-") in {"pk", key} for name in names)
    return names if is_total else [*names, "pk"]


def _is_after(order: list[str], values: list[str]) -> Q:
    """Return the condition for rows that are sorted after the row with ``values``."""
    condition, same = Q(), Q()
    for name, value in zip(order, values, strict=True):
        field, beyond = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        condition |= same & Q((f"{field}__{beyond}", value))
        same &= Q((field, value))
    # For this condition a database uses the index of the first field, but not for the alternatives.
    first = order[0].lstrip("-")
    return Q((f"{first}__{'lte' if order[0].startswith('-') else 'gte'}", values[0])) & condition
