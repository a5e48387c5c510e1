"""Profile pictures: people upload one, and pages and apps show it.

The file may be hostile. Its bytes are limited before Pillow reads them, and its pixels before
Pillow decodes them; only three decoders are used. A newly encoded image is stored, without
metadata, such as the place of a photo, and without code behind the image.

The URL of a picture is not guessable and changes with each upload. It needs no session, because
apps show the picture to people who have no session here.
"""

from io import BytesIO
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock, secrets
from accounts.common.errors import Busy, PublicError
from accounts.common.pages import absolute
from accounts.profile.models import Picture
from accounts.throttle.limits import PROFILE_CHANGE
from accounts.throttle.services import hit
from accounts.users import services as users
from accounts.users.models import User

FORMATS = ("JPEG", "PNG", "WEBP")
LARGEST = 2_000_000
# Decoding takes four bytes for each pixel, and converting the same: about 140 MB; for WebP, 230 MB.
MOST_PIXELS = 12_000_000
# Pillow also takes eight bytes for each row of each copy.
LONGEST_SIDE = 30_000
# A JPEG file of 2 MB may have 70,000 scans of a few bytes, each of which is applied to all pixels.
# This takes a minute. Cameras and programs write about ten scans.
MOST_SCANS, SCAN = 100, b"\xff\xda"
SIDE = 256
# Only one picture at a time may take this memory, and few threads of the server may wait for it.
_decoding = Lock()
WAIT_SECONDS = 3.0


class BadPicture(PublicError):
    """The file is not a picture that the site accepts."""

    code = "bad_picture"
    message = _("Choose a JPEG, PNG or WebP picture of at most 2 MB and 12 megapixels.")


def is_on() -> bool:
    """Return whether people may have pictures (``AVATARS``)."""
    return bool(settings.AUTHSITE.avatars == "on")


def url_of(user: User) -> str:
    """Return the URL of the picture of ``user``; an empty string if there is none."""
    if not is_on():
        return ""
    name = Picture.objects.filter(user=user).values_list("name", flat=True).first()
    return absolute("picture", name) if name else ""


def find(name: str) -> bytes | None:
    """Return the picture with this name.

    Return None if it was replaced, or if its user is deactivated or will be deleted.
    """
    if not (is_on() and name.isprintable()):
        return None
    rows = Picture.objects.filter(name=name, user__is_active=True, user__deletion_due=None)
    content = rows.values_list("content", flat=True).first()
    return None if content is None else bytes(content)


def store(user: User, content: bytes, actor: Actor) -> None:
    """Store the file ``content`` as the picture of ``user``.

    Raises:
        BadPicture: it is too large, or not a picture in one of the three formats.
        Busy: other pictures are being decoded.
        AccountChanged: the account was erased meanwhile.
        RateLimited: there were too many changes of the profile.
    """
    hit(PROFILE_CHANGE.of(user.pk, ""))
    values = {"content": redrawn(content), "name": secrets.token()}
    with transaction.atomic():
        users.lock_row_as_is(user)
        Picture.objects.update_or_create(user=user, defaults=values)
        _note(user, actor)


def remove(user: User, actor: Actor) -> None:
    """Remove the picture of ``user``, if there is one.

    Raises:
        AccountChanged: the account was erased meanwhile.
    """
    with transaction.atomic():
        users.lock_row_as_is(user)
        if Picture.objects.filter(user=user).delete()[0]:
            _note(user, actor)


def _note(user: User, actor: Actor) -> None:
    User.objects.filter(pk=user.pk).update(updated_at=clock.now())
    record(user, events.PROFILE_CHANGED, actor)


def redrawn(content: bytes) -> bytes:
    """Return a new square WebP file that shows the picture ``content``.

    Raises:
        BadPicture, Busy: see :func:`store`.
    """
    if len(content) > LARGEST or (content[:1] == SCAN[:1] and content.count(SCAN) > MOST_SCANS):
        raise BadPicture
    from PIL import Image  # noqa: PLC0415 few requests need it, and most sites none

    if not _decoding.acquire(timeout=WAIT_SECONDS):
        raise Busy(1)
    try:
        # This reads only the header.
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS or max(image.size) > LONGEST_SIDE:
                raise BadPicture
            return _square(image)
    except Exception as error:
        # The decoders raise undocumented errors for malformed files.
        raise BadPicture from error
    finally:
        _decoding.release()


def _square(image: Any) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 as above

    # JPEG files can be decoded at a smaller size.
    image.draft("RGB", (2 * SIDE, 2 * SIDE))
    upright = ImageOps.exif_transpose(image.convert("RGBA"))
    fitted = ImageOps.fit(upright, (SIDE, SIDE))
    clean = Image.new("RGB", fitted.size, "white")
    clean.paste(fitted, mask=fitted.getchannel("A"))
    file = BytesIO()
    clean.save(file, "WEBP", quality=85)
    return file.getvalue()
