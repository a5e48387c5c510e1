"""Profile pictures: what is stored, who sees it, and what attackers upload."""

import json
import struct
import zlib
from base64 import b64encode
from io import BytesIO
from zipfile import ZipFile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, ImageFile

from accounts.activity.services import Actor
from accounts.deletion import services as deletion
from accounts.deletion.erasure import erase
from accounts.exports import services
from accounts.oauth.id_tokens import claims_of
from accounts.profile import pictures
from accounts.profile.models import Picture
from accounts.users.models import User
from accounts.users.services import AccountChanged
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_staff

PROFILE, CHANGE = "/accounts/profile/", "/accounts/profile/picture/"
REFUSED = "Choose a JPEG, PNG or WebP picture of at most 2 MB and 12 megapixels."


@pytest.fixture(autouse=True)
def on(settings):
    set_up(settings, avatars="on")


def photo(form="JPEG", size=(600, 400), **more):
    file = BytesIO()
    Image.new("RGB", size, "orange").save(file, form, **more)
    return file.getvalue()


def upload(client, content):
    file = SimpleUploadedFile("me.jpg", content, "image/jpeg")
    return client.post(CHANGE, {"picture": file}, follow=True)


def path_of(user):
    return pictures.url_of(user).removeprefix("http://testserver").partition("8000")[2]


def test_a_picture_is_shown_to_its_owner_staff_and_apps_until_it_is_replaced(client, alice):
    signed_in(alice, client)

    assert "Your profile picture was saved." in upload(client, photo()).text
    url, path = pictures.url_of(alice), path_of(alice)
    answer = Client().get(path)

    expected = {
        **{"Content-Type": "image/webp", "X-Content-Type-Options": "nosniff"},
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    assert answer.headers.items() >= expected.items()
    assert Image.open(BytesIO(answer.content)).size == (256, 256)
    assert claims_of(alice, {"profile"})["picture"] == url
    assert "picture" not in claims_of(alice, {"email"})
    staff = signed_in(make_staff("carol"))
    for page in (client.get("/"), staff.get(f"/admin/accounts/user/{alice.pk}/change/")):
        assert f'src="{url}"' in page.text

    upload(client, photo("PNG"))
    assert Client().get(path).status_code == 404
    assert Client().get(path_of(alice)).status_code == 200
    client.post(CHANGE, {"remove": "1"})
    assert not Picture.objects.exists()
    assert "picture" not in claims_of(alice, {"profile"})


def test_an_export_has_the_picture_and_an_erased_account_has_none(alice, clock):
    pictures.store(alice, photo(), Actor())
    file = BytesIO()
    services.write(alice, file, lambda: None)
    data = json.loads(ZipFile(file).read("data.json"))["tables"]["accounts.Picture"]
    path = path_of(alice)

    assert data == [{"content": b64encode(Picture.objects.get().content).decode()}]
    erase(alice.pk, is_restored=True)
    assert Client().get(path).status_code == 404


def test_changes_of_a_picture_lock_the_account_so_one_that_was_erased_gets_none(alice):
    erase(alice.pk, is_restored=True)

    for change in (
        lambda: pictures.store(alice, photo(), Actor()),
        lambda: pictures.remove(alice, Actor()),
    ):
        with pytest.raises(AccountChanged):
            change()


def test_an_upload_does_not_wait_long_for_another_one(alice, monkeypatch):
    """Withstands a flood."""
    monkeypatch.setattr(pictures, "WAIT_SECONDS", 0)
    with pictures._decoding:
        answer = upload(signed_in(alice), photo())

    assert (answer.status_code, Picture.objects.count()) == (429, 0)
    assert upload(signed_in(alice), photo()).status_code == 200


@pytest.mark.parametrize("why", ["deactivated", "to be deleted", "setting"])
def test_a_picture_is_hidden_from_everybody(why, alice, settings):
    pictures.store(alice, photo(), Actor())
    path = path_of(alice)
    if why == "setting":
        set_up(settings, avatars="off")
        assert signed_in(alice).post(CHANGE).status_code == 404
    elif why == "to be deleted":
        deletion.request(alice, Actor())
    else:
        User.objects.update(is_active=False)

    assert Client().get(path).status_code == 404


SCRIPT = b"<script>alert(1)</script>"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_metadata_and_what_stands_behind_the_image_are_dropped(form, alice):
    """Withstands a hostile file."""
    exif = Image.Exif()
    exif[0x010E] = "at home"
    content = photo(form, exif=exif) + SCRIPT

    pictures.store(alice, content, Actor())

    stored = bytes(Picture.objects.get().content)
    assert b"at home" in content
    assert not any(part in stored for part in (b"at home", SCRIPT, b"EXIF", b"Exif"))


def png_of(width, height):
    """Return a PNG file that says it has this size, and has the data of one pixel."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(4)))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


# The content of each file, and whether it is decoded.
FILES = {
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', False),
    "gif": (b"GIF89a" + photo("GIF")[6:], False),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", False),
    "bomb": (png_of(20_000, 20_000), False),
    "pixel too many": (png_of(4_001, 3_000), False),
    "long": (png_of(1, 30_001), False),
    "scans": (photo()[:-2] + pictures.SCAN * pictures.MOST_SCANS, False),
    "byte too many": (photo().ljust(pictures.LARGEST + 1), False),
    "empty": (b"", False),
    "cut": (photo()[:-200], True),
    "hollow": (png_of(100, 100), True),
}


@pytest.mark.parametrize("content, is_decoded", FILES.values(), ids=FILES)
def test_another_file_than_a_small_picture_is_refused_and_a_bomb_is_not_decoded(
    content, is_decoded, client, alice, monkeypatch
):
    """Withstands a hostile file."""
    decoded = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(
        ImageFile.ImageFile, "load", lambda image: decoded.append(image) or load(image)
    )
    signed_in(alice, client)

    answer = upload(client, content)

    assert REFUSED in answer.text.partition('class="error"')[2]
    assert bool(decoded) is is_decoded
    assert not Picture.objects.exists()
