"""The operator's brand: its settings, and the files that show it.

Pages use :func:`brand_of` through the template tag ``{% brand %}``. Emails use
:func:`email_colours`, because they have no style sheet, and :func:`png_of`, because few mail
programs show SVG.
"""

import os
import re
import struct
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from glob import escape, iglob
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

import resvg_py

from accounts.common.brand.colours import (
    DARK,
    DARK_DEFAULT,
    LIGHT,
    LIGHT_DEFAULT,
    WHITE,
    Tokens,
    tokens,
)
from accounts.common.setting_parsers import contact, from_json, one_line, setting, words

# Relative paths in settings are relative to this folder.
PROJECT = Path(__file__).resolve().parents[3]
# The folder with variants of texts, such as a formal form of address.
VARIANTS = PROJECT / "locale" / "variants"
LARGEST_LOGO = 200_000
LONGEST_NAME = 40
CSS, ICO, PNG, SVG = "text/css; charset=utf-8", "image/x-icon", "image/png", "image/svg+xml"
EXTENSIONS = {CSS: "css", PNG: "png", SVG: "svg"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The first bytes of a file, which contain the width and the height (PNG Specification, section
# 11.2.2).
PNG_HEADER = 24
# What may precede the root element: declaration, comments, document type.
SVG_START = re.compile(
    rb"(?:\xef\xbb\xbf)?"
    rb"(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)*"
    rb"<svg[\s>]",
    re.DOTALL,
)
# A browser reads "//host" and "/\host" as another origin.
LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


@dataclass(frozen=True)
class File:
    """A file that the site serves: its bytes and their media type."""

    content: bytes = field(repr=False)
    type: str


@dataclass(frozen=True)
class Link:
    """A link in the footer of every page."""

    name: str
    url: str


# An image to serve, the path of a URL on this origin, or "" for none.
type Logo = File | str


def colour(text: str) -> str:
    """Parse a colour, which is written as ``#rrggbb``."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError("must be # and six hexadecimal digits, such as #1d4ed8")
    return text.lower()


def logo(text: str) -> Logo:
    """Return the logo that ``text`` names: the content of an image file, or the path of a URL.

    A file path and a URL path can both begin with ``/``. If a file or its folder exists at that
    path, ``text`` is taken as a file path. Any other text that begins with ``/`` is the path of a
    URL on this site's origin.

    Raises:
        ValueError: the file is missing, is not an SVG or PNG file, or is larger than 200 KB; or
            ``text`` names neither a file nor a URL on this origin.
    """
    path = PROJECT / text
    if path.is_file():
        return _image(path)
    is_missing_file = path.parent.is_dir() and path.parent != Path("/")
    if LOCAL_PATH.fullmatch(text) and not is_missing_file:
        return text
    raise ValueError(f"must be an SVG or PNG file or begin with /, and there is no file {path}")


def _image(path: Path) -> File:
    with path.open("rb") as file:
        content = file.read(LARGEST_LOGO + 1)
    if len(content) > LARGEST_LOGO:
        raise ValueError(f"must have at most 200 KB, and {path} is larger")
    if content.startswith(PNG_SIGNATURE) and len(content) >= PNG_HEADER:
        return File(content, PNG)
    if SVG_START.match(content):
        return File(content, SVG)
    raise ValueError(f"must be an SVG or PNG file, and {path} is neither")


def links(text: str) -> tuple[Link, ...]:
    """Parse a JSON list of links; each link is an object with ``name`` and ``url``."""
    return tuple(map(_link, from_json(text, list, "must be a JSON list of {name, url}")))


def _link(entry: Any) -> Link:
    if not isinstance(entry, dict) or set(entry) != {"name", "url"}:
        raise ValueError("has an entry that is not an object with exactly name and url")
    name, url = entry["name"], entry["url"]
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        raise ValueError(f"has a name that is not a text of 1 to {LONGEST_NAME} characters")
    one_line(name)
    try:
        if not (isinstance(url, str) and LOCAL_PATH.fullmatch(url)):
            contact(str(url))
    except ValueError:
        raise ValueError(f"{name}: the url must begin with https://, mailto: or /") from None
    return Link(name, url)


def folder(text: str) -> Path:
    """Parse the path of a folder, which must exist."""
    path = PROJECT / text
    if not path.is_dir():
        raise ValueError(f"must be a folder, and there is none at {path}")
    return path


def variants(text: str) -> tuple[str, ...]:
    """Parse a list of folders in ``locale/variants``."""
    names, known = words(text), sorted(path.name for path in VARIANTS.iterdir())
    if not set(names) <= set(known):
        raise ValueError(f"lists variants of languages: {', '.join(known)}")
    return names


@dataclass(frozen=True, kw_only=True)
class BrandSettings:
    """The settings of the operator's brand. ``Config`` inherits them."""

    site_name: str = setting("The name that pages and emails show.", one_line, default="authsite")
    site_logo: Logo = setting(  # noqa: RUF009 it is a field, as the others are
        "The logo beside SITE_NAME: path of an SVG or PNG file, at most 200 KB, or a URL path on "
        "this origin. Shown at most 36 px tall and 10rem wide. A file that is at least twice as "
        "wide as tall is taken for the written name, and replaces SITE_NAME above pages and in "
        "emails; any other file is the icon of the site, too. In emails and as an icon, text in an "
        "SVG file is drawn with the fonts of the server, so convert it to paths.",
        logo,
    )
    site_logo_dark: Logo = setting(  # noqa: RUF009 it is a field, as the others are
        "The logo for dark mode, likewise. If unset, SITE_LOGO.", logo
    )
    site_colour: str = setting(
        "The colour of buttons, links and the bar above each page, as `#rrggbb`. Text on it and in "
        "it stays readable, whatever the colour. If unset, a blue.",
        colour,
    )
    site_links: tuple[Link, ...] = setting(
        "Links in the footer: a JSON list of `{name, url}`, such as terms, imprint and status. "
        "Each URL begins with `https://`, `mailto:` or `/`.",
        links,
        default=(),
    )
    site_support: str = setting(
        "Where people get help, on the help page and in the footer: "
        "`mailto:help@example.org` or an `https:` URL. If unset, the help page shows the security "
        "contact.",
        contact,
    )
    language_variants: tuple[str, ...] = setting(
        "How texts address people, where a language has two forms: with `de-formal`, German says "
        "“Sie” in place of “du”.",
        variants,
        default=(),
    )
    templates_dir: Path | None = setting(  # noqa: RUF009 it is a field, as the others are
        "A folder of templates that replace those of the site with the same name, and of texts in "
        "`locale/`. In production the site's process must not be able to write there.",
        folder,
        default=None,
    )


def faults(config: BrandSettings, *, production: bool) -> Iterator[str]:
    """Yield a sentence for each problem of the brand's settings."""
    if config.site_logo_dark and not config.site_logo:
        yield "SITE_LOGO_DARK is given, and SITE_LOGO is missing"
    # In production, only the server must not be able to write: commands may run as the folder's
    # owner.
    folder = config.templates_dir if production and "AUTHSITE_SERVES" in os.environ else None
    if folder and (writable := _writable(folder)):
        yield (
            f"TEMPLATES_DIR: the site's process can write to {writable}; an attacker could change "
            "the pages. Make it read-only for this user"
        )


def _writable(top: Path) -> Path | None:
    """Return the first path by which this process can change the content of ``top``, or None.

    Symbolic links are followed. A writable folder above ``top`` counts, too, because ``top`` can be
    renamed in it and replaced.
    """
    pattern = f"{escape(str(top))}/**"
    below = iglob(pattern, recursive=True, include_hidden=True)  # noqa: PTH207 Path.glob follows no links before Python 3.13
    above = (path for start in (top, top.resolve()) for path in _above(start))
    return next((path for path in (*map(Path, below), *above) if os.access(path, os.W_OK)), None)


def _above(path: Path) -> Iterator[Path]:
    """Return the folders above ``path`` up to its mount point, which nobody can rename."""
    return (part.parent for part in takewhile(lambda p: not p.is_mount(), (path, *path.parents)))


HASH_DIGITS = 12
# A logo this many times as wide as tall contains a name.
WORDMARK = 2
# The height in pixels of logos in emails. They are shown at half that height, for screens with a
# high resolution.
EMAIL_HEIGHT = 72

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
    '<path fill="{fill}" d="M12 2 3 5.5V12c0 5.5 4 9 9 10 5-1 9-4.5 9-10V5.5z"/>'
    '<path fill="none" stroke="{on_fill}" stroke-width="2.2" d="m8 12 3 3 5-5.5"/></svg>\n'
)


@dataclass(frozen=True)
class Brand:
    """The files that pages use to show the operator's brand.

    Attributes:
        style: the URL of the style sheet with the brand's colours, or "" for the default colours.
        favicon: the URL of the icon in the brand's colour, or "" for the default icon.
        logo: the URL of the logo, or "" if there is none.
        logo_dark: the URL of the logo for dark mode, or "" if there is none.
        is_wordmark: whether the logo contains the name of the site.
        icon: the image of which :func:`icon_file` makes icons.
        files: the contents of the files that this site serves, by file name.
    """

    style: str
    favicon: str
    logo: str
    logo_dark: str
    is_wordmark: bool
    icon: File
    files: Mapping[str, File]


def email_colours(config: BrandSettings) -> tuple[Tokens, Tokens]:
    """Return the brand's colours for emails: in light and in dark mode."""
    if not config.site_colour:
        return LIGHT_DEFAULT, DARK_DEFAULT
    return tokens(config.site_colour, LIGHT), tokens(config.site_colour, DARK)


def brand_of(config: BrandSettings) -> Brand:
    """Return the brand that ``config`` describes. The result is cached."""
    return _brand(config.site_colour, config.site_logo, config.site_logo_dark)


@cache
def _brand(colour: str, logo: Logo, logo_dark: Logo) -> Brand:
    files: dict[str, File] = {}

    def url(stem: str, given: Logo) -> str:
        if not isinstance(given, File):
            return given
        # Named after its content, so that browsers may keep it forever.
        digest = sha256(given.content).hexdigest()[:HASH_DIGITS]
        name = f"{stem}.{digest}.{EXTENSIONS[given.type]}"
        files[name] = given
        return f"/brand/{name}"

    light = tokens(colour, LIGHT) if colour else LIGHT_DEFAULT
    drawn = File(FAVICON.format(fill=light.fill, on_fill=light.on_fill).encode(), SVG)
    ratio = _aspect_ratio(logo)
    icon = logo if isinstance(logo, File) and 1 / WORDMARK < ratio < WORDMARK else drawn
    return Brand(
        style=url("brand", File(_style(colour), CSS)) if colour else "",
        favicon=url("favicon", icon) if colour or icon is logo else "",
        logo=url("logo", logo),
        logo_dark=url("logo-dark", logo_dark),
        is_wordmark=ratio >= WORDMARK,
        icon=icon,
        files=files,
    )


@cache
def png_of(logo: File) -> bytes | None:
    """Return ``logo`` as PNG, or None if it is an SVG file that cannot be drawn. Cached."""
    if logo.type == PNG:
        return logo.content
    try:
        return bytes(resvg_py.svg_to_bytes(logo.content.decode(), height=EMAIL_HEIGHT))
    except ValueError:
        return None


def png_size(png: bytes) -> tuple[int, int]:
    """Return the width and the height of a PNG image in pixels."""
    width, height = struct.unpack(">II", png[16:PNG_HEADER])
    return width, height


def _aspect_ratio(logo: Logo) -> float:
    """Return the width of the logo, divided by its height; 0 if they are unknown."""
    png = png_of(logo) if isinstance(logo, File) else None
    width, height = png_size(png) if png else (0, 1)
    return width / max(height, 1)


@cache
def icon_file(icon: File, name: str) -> File:
    """Return the file that browsers request at the path ``/name``, with the image ``icon``.

    ``name`` is ``favicon.ico`` or ``apple-touch-icon.png``.
    """
    if name == "apple-touch-icon.png":
        # iOS rounds the corners, and shows black where the image is transparent.
        return File(_draw(icon, 180, 18, WHITE), PNG)
    png = _draw(icon, 48, 0, "none")
    # An ICO file with one PNG image: the header, the entry of the image, the image.
    entry = struct.pack("<BBBBHHII", 48, 48, 0, 0, 1, 32, len(png), 22)
    return File(struct.pack("<HHH", 0, 1, 1) + entry + png, ICO)


def _draw(icon: File, size: int, edge: int, ground: str) -> bytes:
    """Return a square PNG image of ``size`` pixels that shows ``icon`` on the colour ``ground``."""
    url = f"data:{icon.type};base64,{b64encode(icon.content).decode()}"
    inside = size - 2 * edge
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">'
        f'<path fill="{ground}" d="M0 0h{size}v{size}H0z"/>'
        f'<image x="{edge}" y="{edge}" width="{inside}" height="{inside}" href="{url}"/></svg>'
    )
    return bytes(resvg_py.svg_to_bytes(svg, width=size))


def _style(colour: str) -> bytes:
    """Return a style sheet with the brand's colours for both colour schemes.

    Its selector is specific enough to override the default colours of Django's admin, too.
    """
    light, dark = tokens(colour, LIGHT), tokens(colour, DARK)
    rules = "".join(
        f"  --{name.replace('_', '-')}: light-dark({value}, {getattr(dark, name)});\n"
        for name, value in vars(light).items()
    )
    return f":root:root {{\n{rules}}}\n".encode()
