"""Tags for icons and for the entries of the menu."""

from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

ICON = '<svg class="i{}" aria-hidden="true"><use href="{}#{}"/></svg>'
# These point in the direction of reading.
MIRRORED = {"in", "out", "next"}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return the icon ``name`` of ``static/icons.svg``; screen readers skip it."""
    return format_html(ICON, " flip" if name in MIRRORED else "", static("icons.svg"), name)


@register.simple_tag(takes_context=True)
def menu_item(context: dict[str, Any], view: str, icon_name: str, label: str) -> SafeString:
    """Return the menu entry of ``view``, marked as current on that page and on pages below it."""
    request: HttpRequest | None = context.get("request")
    url = reverse(view)
    path = request.path if request else ""
    is_here = path == url if url == "/" else path.startswith(url)
    current = ' aria-current="page"' if path == url else ' aria-current="true"' if is_here else ""
    link = '<li><a href="{}"{}>{}{}</a></li>'
    return format_html(link, url, SafeString(current), icon(icon_name), label)
