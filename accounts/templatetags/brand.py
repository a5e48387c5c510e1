"""The tag for the operator's brand."""

from typing import Any

from django import template
from django.conf import settings
from django.templatetags.static import static

from accounts.common.brand import brand_of

register = template.Library()


@register.simple_tag
def brand() -> dict[str, Any]:
    """Return the parts of the brand that pages show. The tag also works on error pages.

    ``style``, ``favicon``, ``logo`` and ``logo_dark`` are URLs, ``links`` are the links of the
    footer, and ``support`` is where people get help.
    """
    config = settings.AUTHSITE
    found = brand_of(config)
    return {
        "style": found.style,
        "favicon": found.favicon or static("favicon.svg"),
        "logo": found.logo,
        "logo_dark": found.logo_dark,
        "links": config.site_links,
        "support": config.site_support,
    }
