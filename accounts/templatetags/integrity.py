"""A template tag for the ``integrity`` attribute of scripts (W3C Subresource Integrity)."""

import base64
from functools import cache
from hashlib import sha384
from pathlib import Path

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage

register = template.Library()


@register.simple_tag
@cache
def integrity(name: str) -> str:
    """Return the digest of a static file as it is served, for an ``integrity`` attribute."""
    if settings.STATIC_ROOT:
        stored = staticfiles_storage.url(name).removeprefix(settings.STATIC_URL)
        path = staticfiles_storage.path(stored)
    else:
        path = str(finders.find(name))
    return f"sha384-{base64.b64encode(sha384(Path(path).read_bytes()).digest()).decode()}"
