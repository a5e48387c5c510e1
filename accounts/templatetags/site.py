"""Tags, filters and variables of templates: the brand, the menu, scripts, times and places."""

import base64
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha384
from pathlib import Path
from typing import Any, cast

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from accounts.common import client_info, clock, localization, logs
from accounts.common.brand.files import brand_of
from accounts.common.pages import theme_of
from accounts.mail import development_views
from accounts.profile import pictures
from accounts.recovery import services as recovery
from accounts.sessions import undo
from accounts.sessions.current import known_user_id, request_auth_of
from accounts.users import support_code as codes
from accounts.users.models import User

register = template.Library()


@register.simple_tag
def brand() -> dict[str, Any]:
    """Return the brand for templates. The tag also works on error pages.

    ``style``, ``favicon``, ``logo`` and ``logo_dark`` are URLs, ``is_wordmark`` is whether the logo
    contains the name of the site, ``links`` are the links of the footer, and ``support`` is the
    contact for help.
    """
    config = settings.AUTHSITE
    found = brand_of(config)
    return {
        "style": found.style,
        "favicon": found.favicon or static("favicon.svg"),
        "logo": found.logo,
        "logo_dark": found.logo_dark,
        "is_wordmark": found.is_wordmark,
        "links": config.site_links,
        "support": config.site_support,
    }


ICON = '<svg class="i{}" aria-hidden="true"><use href="{}#{}"/></svg>'
# These icons point in the direction of reading.
MIRRORED = {"in", "out", "next"}


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """Return the icon ``name`` of ``static/icons.svg``, which screen readers skip."""
    return format_html(ICON, " flip" if name in MIRRORED else "", static("icons.svg"), name)


@register.simple_tag(takes_context=True)
def support_code(context: dict[str, Any]) -> str:
    """Return the support code of the request, from ``request`` or ``user_id`` in the context.

    On an error page both may be missing; the code then identifies only the request.
    """
    request: HttpRequest | None = context.get("request")
    user_id = known_user_id(request) if request else context.get("user_id")
    return codes.write(user_id, logs.REQUEST_ID.get())


@register.simple_tag(takes_context=True)
def menu(context: dict[str, Any]) -> SafeString:
    """Return the menu entries for the page and the user in the context."""
    match = context["request"].resolver_match
    return _menu(
        get_language(),
        match.route if match else "",
        is_staff=context["user"].is_staff,
        has_providers=bool(settings.AUTHSITE.issuers),
    )


# Large enough for every page in each language.
@lru_cache(maxsize=512)
def _menu(_language: str, route: str, **about: bool) -> SafeString:
    """Return the menu entries, which depend only on the arguments."""
    return render_to_string("accounts/menu_entries.html", {"path": f"/{route}", **about})


@register.simple_tag(takes_context=True)
def menu_item(context: dict[str, Any], view: str, icon_name: str, label: str) -> SafeString:
    """Return the menu entry of ``view``, marked as current on that page and on pages below it."""
    path, url = context["path"], reverse(view)
    is_here = path == url if url == "/" else path.startswith(url)
    current = ' aria-current="page"' if path == url else ' aria-current="true"' if is_here else ""
    link = '<li><a href="{}"{}>{}{}</a></li>'
    return format_html(link, url, SafeString(current), icon(icon_name), label)


@register.simple_tag
def picture_of(user: User) -> str:
    """Return the URL of the profile picture of ``user``; an empty string if there is none."""
    return pictures.url_of(user)


@register.simple_tag(takes_context=True)
def undo_offer(context: dict[str, Any]) -> dict[str, Any] | None:
    """Return what :func:`accounts.sessions.undo.offered` returns."""
    return undo.offered(context["request"])


@register.simple_tag
@cache
def integrity(name: str) -> str:
    """Return the digest of a static file in its served form, for an ``integrity`` attribute."""
    if settings.STATIC_ROOT:
        stored = staticfiles_storage.url(name).removeprefix(settings.STATIC_URL)
        path = staticfiles_storage.path(stored)
    else:
        path = str(finders.find(name))
    return f"sha384-{base64.b64encode(sha384(Path(path).read_bytes()).digest()).decode()}"


STYLES = {
    "date": localization.date_in_words,
    "time": localization.time_in_words,
    "until": localization.in_full,
}

register.filter("day_in_words", localization.day_in_words)
register.filter("moment", localization.in_words)
register.filter("clock_time", localization.time_in_words)


@register.simple_tag
def when(at: datetime, style: str = "") -> SafeString:
    """Return a ``time`` element for ``at``, which ``times.js`` keeps current.

    ``style``: empty for an interval such as "2 hours ago"; ``since`` for an interval with a capital
        letter; ``day`` for the day and the time; ``time`` for the time of day; ``date`` for the
        date; ``until`` for a deadline, with its weekday and time zone.
    """
    words = STYLES.get(style, localization.in_words)(at)
    exact = at.isoformat(timespec="seconds")
    return SafeString(f'<time datetime="{exact}" data-when="{style}">{escape(words)}</time>')


@register.filter
def interval_since(at: datetime) -> str:
    """Return the interval from ``at`` until now in words, such as "5 weeks"."""
    return localization.interval_in_words(clock.now() - at)


@register.filter
def grouped(number: int) -> str:
    """Return ``number`` with separators of thousands."""
    return number_format(number, force_grouping=True)


@register.filter
def place(ip: str) -> SafeString:
    """Return ``ip`` for a page, preceded by the name of its place if known."""
    name = client_info.name(settings.AUTHSITE.geoip_file, ip)
    address = format_html('<span dir="ltr">{}</span>', ip)
    return format_html('<span dir="auto">{}</span>, {}', name, address) if name else address


@register.filter
def place_name(ip: str) -> str:
    """Return the name of the place of ``ip``; if unknown, return ``ip``."""
    return client_info.name(settings.AUTHSITE.geoip_file, ip) or ip


@register.inclusion_tag("accounts/place_credit.html")
def place_credit() -> dict[str, bool]:
    """Return the link to DB-IP that the licence of its location files requires."""
    return {"is_due": client_info.is_of_dbip(settings.AUTHSITE.geoip_file)}


def variables(request: HttpRequest) -> dict[str, Any]:
    """Return the template variables that all pages need, such as the name of the site."""
    # A browser that must reauthenticate may have a copied session cookie, so hide the messages of
    # the user. A request that was refused early has no user.
    is_copy = hasattr(request, "user") and request_auth_of(request).needs_reauthentication
    hidden: dict[str, Any] = {"messages": ()} if is_copy else {}
    return hidden | {
        "site_name": settings.AUTHSITE.site_name,
        "theme": theme_of(request),
        # A function, because only pages with provider buttons need the providers.
        "providers": lambda: settings.AUTHSITE.issuers,
        "dev_mail": development_views.folder() is not None,
        # Every page shows a running account recovery, so that the owner can object to it.
        "running_recovery": lambda: recovery.running(cast(User, request.user)),
    }
