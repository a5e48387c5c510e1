"""The settings of the brand: what is taken, and a sentence for what is not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from accounts.common.brand.files import LARGEST_LOGO, File, Link
from accounts.common.environment import read
from tests.support.config import GOOD, refused
from tests.support.standards import proves

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def link(**changes):
    return {"name": "Terms", "url": "https://example.org/terms"} | changes


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


@pytest.mark.parametrize("name", ["SITE_LOGO", "SITE_LOGO_DARK"])
@pytest.mark.parametrize(
    "content", [b"GIF89a", PNG[:23], b"<html><svg></svg></html>", b"", SVG.ljust(LARGEST_LOGO + 1)]
)
def test_another_file_than_a_small_svg_or_png_is_refused(name, content, tmp_path):
    path = tmp_path / "logo.svg"
    path.write_bytes(content)

    told = refused(tmp_path, **{"SITE_LOGO": "/x/logo", name: str(path)})

    assert told.startswith(f"{name} must ")
    assert str(path) in told


def test_the_other_settings_of_the_brand_are_taken(tmp_path):
    entries = [link(), link(name="Imprint", url="/imprint/"), link(url="mailto:a@example.org")]
    given = {
        "SITE_COLOUR": "#FFD21F",
        "SITE_LOGO": "/brand-x/logo?v=2",
        "SITE_LINKS": json.dumps(entries),
        "SITE_SUPPORT": "mailto:help@example.org",
    }

    config = read(GOOD | given, tmp_path)

    assert (config.site_colour, config.site_logo) == ("#ffd21f", "/brand-x/logo?v=2")
    assert (len(config.site_links), config.site_links[1]) == (3, Link("Imprint", "/imprint/"))
    assert config.site_support == "mailto:help@example.org"


# What is refused of each setting, with a part of the sentence that says why.
REFUSED: list[tuple[str, str, list[Any]]] = [
    ("SITE_COLOUR", "# and six hexadecimal digits", ["red", "#fff", "#1d4ed8;}", "#\uff11d4ed8"]),
    (
        "SITE_LOGO",
        "must be an SVG or PNG file or begin with /",
        [*("//other.example/logo.svg", "/\\other.example/x"),
         *("https://other.example/logo.svg", "logo.svg")],
    ),
    ("SITE_LOGO", "there is no file", [str(Path(__file__).with_name("logo.svg"))]),
    ("SITE_LOGO_DARK", "SITE_LOGO is missing", ["/static/logo.svg"]),
    ("SITE_LINKS", "must be a JSON list of {name, url}", ["Terms", link()]),
    (
        "SITE_LINKS",
        "an entry that is not an object with exactly name and url",
        [["Terms"], [{"name": "Terms"}], [link(id=1)]],
    ),
    (
        "SITE_LINKS",
        "a name that is not a text of 1 to 40 characters",
        [[link(name=name)] for name in ("", " ", 1, None, "x" * 41)],
    ),
    ("SITE_LINKS", "is one line of printable text", [[link(name="two\nlines")]]),
    (
        "SITE_LINKS",
        "Terms: the url must begin with https://, mailto: or /",
        [[link(url=url)]
         for url in ("javascript:alert(1)", "http://example.org/", "//example.org", "/\\x.org",
                     "terms/", "https://a b", "mailto:nobody", "", None, 1)],
    ),
    ("SITE_SUPPORT", "SITE_SUPPORT", ["help@example.org", "http://example.org", "javascript:x"]),
    ("TEMPLATES_DIR", "must be a folder", [str(Path(__file__).with_name("none"))]),
]  # fmt: skip


@pytest.mark.parametrize(
    "name, words, value", [(name, words, one) for name, words, many in REFUSED for one in many]
)
def test_a_fault_stops_the_start_with_a_sentence(name, words, value, tmp_path):
    told = refused(tmp_path, **{name: value if isinstance(value, str) else json.dumps(value)})

    assert told.startswith(name)
    assert words in told


@proves("V1.3.7")
def test_a_server_in_production_must_not_be_able_to_write_its_templates(tmp_path, monkeypatch):
    """Withstands an operator's mistake: a process that was taken over."""
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
