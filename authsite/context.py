"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.mail import development


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, and whether there is a development mailbox to look into."""
    return {
        "site_name": settings.AUTHSITE.site_name,
        "dev_mail": development.folder() is not None,
    }
