"""Pagination of long lists."""

from typing import Any, cast

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

PAGE_SIZE = 50
# A page with more rows than this before it is read from the end of the list if that is nearer.
FAR = 1_000


class RowPaginator(Paginator):  # type: ignore[type-arg] # it takes none at run time
    """Splits a query set into pages, of which the last take no longer than the first."""

    def page(self, number: int | str) -> Page[Any]:
        """Return a page. To find it, the database reads all rows before it, or all after it."""
        valid = self.validate_number(number)
        before = (valid - 1) * self.per_page
        after = self.count - min(before + self.per_page, self.count)
        if before <= max(after, FAR):
            return super().page(valid)
        rows = cast(QuerySet[Any], self.object_list).reverse()
        return Page([*rows[after : self.count - before]][::-1], valid, self)


def page_of(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """Return the page of ``rows`` that ``?page=`` names, or the nearest page that exists."""
    return RowPaginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
