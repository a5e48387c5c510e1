"""The settings of the brand: what is taken, and a sentence for what is not."""

import json
import os
from pathlib import Path

import pytest

from accounts.common.brand import LARGEST_LOGO, File, Link
from accounts.common.environment import read
from tests.support.config import GOOD, refused

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
COLOUR = "must be # and six hexadecimal digits, such as #1d4ed8"
URL = "the url must begin with https://, mailto: or /"


def link(**changes):
    return {"name": "Terms", "url": "https://example.org/terms"} | changes


@pytest.mark.parametrize(
    "text", ["red", "#fff", "#12345g", "1d4ed8", "#1d4ed8ff", "#1d4ed8;}", "#\uff11d4ed8", "rgb(1)"]
)
def test_another_colour_than_six_hexadecimal_digits_stops_the_start(text, tmp_path):
    assert refused(tmp_path, SITE_COLOUR=text) == f"SITE_COLOUR {COLOUR}"


def test_a_colour_may_be_in_capital_letters(tmp_path):
    assert read(GOOD | {"SITE_COLOUR": "#FFD21F"}, tmp_path).site_colour == "#ffd21f"


@pytest.mark.parametrize(
    "content, type_",
    [
        (PNG, "image/png"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf" + SVG, "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<!-- by hand -->\n' + SVG, "image/svg+xml"),
        (b'<!DOCTYPE svg PUBLIC "a" "b" [ <!ENTITY x "y"> ]>\n' + SVG, "image/svg+xml"),
        (SVG.ljust(LARGEST_LOGO), "image/svg+xml"),
    ],
)
def test_a_logo_is_read_when_the_site_starts(content, type_, tmp_path):
    path = tmp_path / "logo"
    path.write_bytes(content)

    logo = read(GOOD | {"SITE_LOGO": str(path)}, tmp_path).site_logo

    assert logo == File(content, type_)


@pytest.mark.parametrize("url", ["/static/logo.svg", "/logo.png", "/brand-x/logo?v=2"])
def test_a_logo_may_be_a_url_on_this_origin(url, tmp_path):
    assert read(GOOD | {"SITE_LOGO": url}, tmp_path).site_logo == url


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"GIF89a", "must be an SVG or PNG file, and {} is neither"),
        (b"\xff\xd8\xff\xe0", "must be an SVG or PNG file, and {} is neither"),
        (b"<html><svg></svg></html>", "must be an SVG or PNG file, and {} is neither"),
        (b" " * 5000 + b"<!--" * 500, "must be an SVG or PNG file, and {} is neither"),
        (b"", "must be an SVG or PNG file, and {} is neither"),
        (SVG.ljust(LARGEST_LOGO + 1), "must have at most 200 KB, and {} is larger"),
    ],
)
@pytest.mark.parametrize("name", ["SITE_LOGO", "SITE_LOGO_DARK"])
def test_another_file_than_a_small_svg_or_png_is_refused(name, content, sentence, tmp_path):
    path = tmp_path / "logo.svg"
    path.write_bytes(content)

    told = refused(tmp_path, **{"SITE_LOGO": "/x/logo", name: str(path)})

    assert told == f"{name} {sentence.format(path)}"


@pytest.mark.parametrize(
    "text",
    [
        "//other.example/logo.svg",
        "/\\other.example/x",
        "https://other.example/logo.svg",
        "logo.svg",
    ],
)
def test_a_logo_of_another_origin_or_a_missing_one_is_refused(text, tmp_path):
    told = refused(tmp_path, SITE_LOGO=text)

    assert told.startswith("SITE_LOGO must be an SVG or PNG file or begin with /")


def test_a_missing_file_in_an_existing_folder_is_no_url(tmp_path):
    path = tmp_path / "logo.svg"

    assert refused(tmp_path, SITE_LOGO=str(path)).endswith(f"there is no file {path}")


def test_a_logo_for_dark_mode_alone_is_refused(tmp_path):
    told = refused(tmp_path, SITE_LOGO_DARK="/static/logo.svg")

    assert told == "SITE_LOGO_DARK is given, and SITE_LOGO is missing"


def test_links_and_support_are_taken(tmp_path):
    entries = [link(), link(name="Imprint", url="/imprint/"), link(url="mailto:a@example.org")]
    given = {"SITE_LINKS": json.dumps(entries), "SITE_SUPPORT": "mailto:help@example.org"}

    config = read(GOOD | given, tmp_path)

    assert config.site_links[1] == Link("Imprint", "/imprint/")
    assert len(config.site_links) == 3
    assert config.site_support == "mailto:help@example.org"


@pytest.mark.parametrize(
    "value, sentence",
    [
        ("Terms", "must be a JSON list of {name, url}"),
        (link(), "must be a JSON list of {name, url}"),
        (["Terms"], "has an entry that is not an object with exactly name and url"),
        ([{"name": "Terms"}], "has an entry that is not an object with exactly name and url"),
        ([link(id=1)], "has an entry that is not an object with exactly name and url"),
        *(
            ([link(name=name)], "has a name that is not a text of 1 to 40 characters")
            for name in ("", " ", 1, None, "x" * 41)
        ),
        ([link(name="two\nlines")], "is one line of printable text"),
        *(
            ([link(url=url)], f"Terms: {URL}")
            for url in (
                *("javascript:alert(1)", "http://example.org/", "//example.org", "/\\example.org"),
                *("terms/", "https://a b", "mailto:nobody", "data:text/html,x", "", None, 1),
            )
        ),
    ],
)
def test_a_fault_of_the_links_is_one_sentence(value, sentence, tmp_path):
    text = value if isinstance(value, str) else json.dumps(value)

    assert refused(tmp_path, SITE_LINKS=text) == f"SITE_LINKS {sentence}"


@pytest.mark.parametrize("text", ["help@example.org", "http://example.org", "javascript:alert(1)"])
def test_support_is_an_address_or_a_page(text, tmp_path):
    assert refused(tmp_path, SITE_SUPPORT=text).startswith("SITE_SUPPORT ")


def test_a_folder_of_templates_must_exist(tmp_path):
    told = refused(tmp_path, TEMPLATES_DIR=str(tmp_path / "none"))

    assert told == f"TEMPLATES_DIR must be a folder, and there is none at {tmp_path / 'none'}"


def test_a_server_in_production_must_not_be_able_to_write_its_templates(tmp_path, monkeypatch):
    given = {"TEMPLATES_DIR": str(tmp_path)}
    development = given | {"ENVIRONMENT": "development"}
    (tmp_path / "base.html").touch()
    # Commands such as migrate may run as the owner of the files.
    monkeypatch.delenv("AUTHSITE_SERVES", raising=False)
    assert read(GOOD | given, tmp_path).templates_dir == tmp_path
    monkeypatch.setenv("AUTHSITE_SERVES", "1")
    assert read(GOOD | development, tmp_path).templates_dir == tmp_path

    told = refused(tmp_path, **given)
    assert told.startswith(f"TEMPLATES_DIR: the site's process can write to {tmp_path};")

    # The mode of a file stops nobody who is root, as tests may be.
    writable = {tmp_path / "base.html"}
    monkeypatch.setattr(os, "access", lambda path, _mode: path in writable)
    assert f"can write to {tmp_path / 'base.html'};" in refused(tmp_path, **given)
    writable.clear()
    assert read(GOOD | given, tmp_path).templates_dir == tmp_path


@pytest.mark.parametrize("writable", ["real/shared/login.html", "real", "links"])
def test_templates_that_can_be_replaced_through_a_link_or_a_folder_above_are_refused(
    writable, tmp_path, monkeypatch
):
    for folder in ("real/templates", "real/shared", "links"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "real/shared/login.html").touch()
    (tmp_path / "real/templates/accounts").symlink_to(tmp_path / "real/shared")
    given = tmp_path / "links/templates"
    given.symlink_to(tmp_path / "real/templates")
    monkeypatch.setenv("AUTHSITE_SERVES", "1")
    monkeypatch.setattr(
        os, "access", lambda path, _mode: Path(path).resolve() == tmp_path / writable
    )

    assert "can write to" in refused(tmp_path, TEMPLATES_DIR=str(given))
