"""The logos of apps: PNG files that an operator of the site has provided.

Only operators provide logos. A logo that an app chooses itself could be the logo of another app.
"""

from hashlib import sha256

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.oauth.models import Client, ClientLogo

LARGEST = 32_768
LEAST_PIXELS, MOST_PIXELS = 32, 512
# A PNG file begins with its signature and the chunk IHDR, which has the width and the height (PNG
# specification, sections 5.2 and 11.2.1).
START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
VERSION_DIGITS = 16


def version_of(content: bytes) -> str:
    """Return the version of the logo ``content``, which is a hash.

    Raises:
        ValidationError: ``content`` is not a square PNG file of an allowed size.
    """
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    is_logo = content.startswith(START) and LEAST_PIXELS <= width == height <= MOST_PIXELS
    if not is_logo or len(content) > LARGEST:
        sentence = _("Choose a square PNG file of %(least)s to %(most)s pixels and at most 32 KB.")
        raise ValidationError(sentence % {"least": LEAST_PIXELS, "most": MOST_PIXELS})
    return sha256(content).hexdigest()[:VERSION_DIGITS]


def save(client: Client) -> None:
    """Store or delete the logo of ``client`` if ``client.new_logo`` says so."""
    if client.new_logo:
        ClientLogo.objects.update_or_create(client=client, defaults={"content": client.new_logo})
    elif client.new_logo is not None:
        ClientLogo.objects.filter(client=client).delete()


def find(client_id: str, version: str) -> bytes | None:
    """Return the logo of the app ``client_id`` if ``version`` is its current version."""
    # PostgreSQL refuses the character NUL.
    if not (client_id + version).isprintable():
        return None
    rows = ClientLogo.objects.filter(client=client_id, client__logo=version)
    content = rows.values_list("content", flat=True).first()
    return None if content is None else bytes(content)
