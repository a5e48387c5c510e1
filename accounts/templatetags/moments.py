"""Filters and tags for times and for the places of IP addresses."""

from datetime import datetime

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.common import clock, moments, places

register = template.Library()

STYLES = {"time": moments.time_in_words, "date": moments.date_in_words}

register.filter("day_in_words", moments.day_in_words)
register.filter("moment", moments.in_words)
register.filter("clock_time", moments.time_in_words)


@register.simple_tag
def when(at: datetime, style: str = "") -> SafeString:
    """Return a ``time`` element for ``at``, which ``times.js`` keeps current.

    ``style`` is empty for an interval such as "2 hours ago" and ``since`` for one that begins with
    a capital. It is ``day`` for the day and the time, ``time`` for the time of day, and ``date``
    for the date.
    """
    words = STYLES.get(style, moments.in_words)(at)
    element = '<time datetime="{}" data-when="{}">{}</time>'
    return format_html(element, at.isoformat(timespec="seconds"), style, words)


@register.filter
def interval_since(at: datetime) -> str:
    """Return the interval from ``at`` until now in words, such as "5 weeks"."""
    return moments.interval_in_words(clock.now() - at)


@register.filter
def place(ip: str) -> SafeString:
    """Return ``ip`` for a page, after the name of its place if that is known."""
    name = places.name(settings.AUTHSITE.geoip_file, ip)
    address = format_html('<span dir="ltr">{}</span>', ip)
    return format_html('<span dir="auto">{}</span>, {}', name, address) if name else address


@register.filter
def place_name(ip: str) -> str:
    """Return the name of the place of ``ip``, or else ``ip``."""
    return places.name(settings.AUTHSITE.geoip_file, ip) or ip


@register.inclusion_tag("accounts/place_credit.html")
def place_credit() -> dict[str, bool]:
    """Return the link to DB-IP that the licence of its location files requires."""
    return {"is_due": places.is_of_dbip(settings.AUTHSITE.geoip_file)}
