"""Helpers for pages: decorators, the Content Security Policy of redirects, links and lists."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Literal, cast

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_http_methods


def absolute(name: str, *args: object) -> str:
    """Return the absolute URL of the view ``name``, which begins with the setting ``ORIGIN``.

    The Host header of the request is not used, because a client can send any value.
    """
    return f"{settings.AUTHSITE.origin}{reverse(name, args=args)}"


def safe_next(value: str | None) -> str:
    """Return ``value`` if it is a safe redirect target, else "" (ASVS 3.7.2, CWE-601).

    Only a path of this site that begins with one slash is safe. ``//evil``, ``/\\evil``,
    ``https:evil``, ``javascript:`` and anything with control characters are not.
    """
    if not value or len(value) > 2000 or not value.isprintable() or not value.startswith("/"):
        return ""
    return value if url_has_allowed_host_and_scheme(value, allowed_hosts=None) else ""


TYPED = "_typed"


def note_typed(request: HttpRequest, values: QueryDict) -> None:
    """Make the forms of the page start with ``values``, which were sent with an expired form."""
    setattr(request, TYPED, values.dict())


def typed(request: HttpRequest) -> dict[str, str]:
    """Return the text that was typed into an expired form, as initial values for a form.

    Password fields never show their initial value.
    """
    return getattr(request, TYPED, {})


def set_cookie(
    response: HttpResponseBase,
    name: str,
    value: str,
    life: timedelta | None,
    *,
    samesite: Literal["Lax", "Strict"] = "Lax",
) -> None:
    """Set a cookie that scripts cannot read. If ``life`` is None, it ends with the browser."""
    response.set_cookie(
        name,
        value,
        max_age=life,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite=samesite,
    )


THEMES = ("light", "dark")
THEME_LIFE = timedelta(days=365)


def theme_of(request: HttpRequest) -> str:
    """Return the theme that was chosen in this browser, or "" for the theme of the system."""
    chosen = request.COOKIES.get(settings.THEME_COOKIE_NAME, "")
    return chosen if chosen in THEMES else ""


type View = Callable[..., HttpResponseBase]


def form_page(view: View) -> View:
    """Decorate a view of a page with a form. Its responses are not stored (``no-store``)."""
    return never_cache(require_http_methods(["GET", "HEAD", "POST"])(view))


def allow_provider_redirects(view: View) -> View:
    """Decorate a view so that its forms may redirect to the configured identity providers.

    The decorator adds the origins of these providers to ``form-action``, because Chromium also
    applies this directive to redirects that follow a form submission.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        origins = [origin for issuer in settings.AUTHSITE.issuers for origin in issuer.origins]
        if not origins:
            return response
        base = getattr(response, "_csp_config", settings.SECURE_CSP)
        policy = {**base, "form-action": [*base["form-action"], *origins]}
        return csp_override(policy)(lambda _request: response)(request)

    return wrapped


PAGE_SIZE = 50
# If more rows than this precede a page, it is read from the end of the list if the end is nearer.
FAR = 1_000


class RowPaginator(Paginator):  # type: ignore[type-arg] # it takes none at run time
    """Splits a query set into pages. The last pages are as fast as the first."""

    def page(self, number: int | str) -> Page[Any]:
        """Return the page with this number.

        A page near the end is read from the end, so that the database need not skip all rows before
        it.
        """
        valid = self.validate_number(number)
        before = (valid - 1) * self.per_page
        after = self.count - min(before + self.per_page, self.count)
        if before <= max(after, FAR):
            return super().page(valid)
        rows = cast(QuerySet[Any], self.object_list).reverse()
        return Page([*rows[after : self.count - before]][::-1], valid, self)


def page_of(
    request: HttpRequest,
    rows: Callable[[], QuerySet[Any]],
    size: int = PAGE_SIZE,
    first: Callable[[], list[Any]] | None = None,
) -> Page[Any]:
    """Return the page of the rows that ``?page=`` names, or the nearest page that exists.

    The rows are counted only if they fill more than one page.

    ``rows``: returns the query set.
    ``first``: returns the rows of the first page, and one more, by a prepared query.
    """
    if number := request.GET.get("page"):
        return RowPaginator(rows(), size).get_page(number)
    found = first() if first else [*rows()[: size + 1]]
    return Page(found[:size], 1, RowPaginator(rows() if len(found) > size else found, size))
