"""The files of the operator's brand: style sheet, icon and logo."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.http import require_safe

from accounts.common.brand import brand_of

# Names contain a hash of the content.
FOREVER = "public, max-age=31536000, immutable"
# An SVG that is opened as a page runs no script and loads nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@login_not_required
@require_safe
def brand_file(_request: HttpRequest, name: str) -> HttpResponse:
    """Return a file of the operator's brand.

    ``name`` contains a hash of the content. If the file has changed since, the status is 404.
    """
    file = brand_of(settings.AUTHSITE).files.get(name)
    if file is None:
        return HttpResponseNotFound("Not found.\n", content_type="text/plain; charset=utf-8")
    headers = {"Cache-Control": FOREVER, "Content-Security-Policy": POLICY}
    return HttpResponse(file.content, content_type=file.type, headers=headers)
