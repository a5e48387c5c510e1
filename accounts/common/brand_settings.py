"""The settings with which operators adapt the site to their brand, such as its name and logo."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from glob import escape, iglob
from itertools import takewhile
from pathlib import Path
from typing import Any

from accounts.common.oklch import is_colour
from accounts.common.setting_parsers import contact, json_list, line, setting

# What relative paths are relative to.
PROJECT = Path(__file__).resolve().parents[2]
LARGEST_LOGO = 200_000
LONGEST_NAME = 40
CSS, PNG, SVG = "text/css; charset=utf-8", "image/png", "image/svg+xml"
EXTENSIONS = {CSS: "css", PNG: "png", SVG: "svg"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
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

    @property
    def extension(self) -> str:
        """The filename extension for this media type, without the dot."""
        return EXTENSIONS[self.type]


@dataclass(frozen=True)
class Link:
    """A link in the footer of every page."""

    name: str
    url: str


# An image to serve, the path of a URL on this origin, or "" for none.
type Logo = File | str


def colour(text: str) -> str:
    """Parse a colour, which is written as ``#rrggbb``."""
    if not is_colour(text):
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
    if content.startswith(PNG_SIGNATURE):
        return File(content, PNG)
    if SVG_START.match(content):
        return File(content, SVG)
    raise ValueError(f"must be an SVG or PNG file, and {path} is neither")


def links(text: str) -> tuple[Link, ...]:
    """Parse a JSON list of links; each link is an object with ``name`` and ``url``."""
    return tuple(map(_link, json_list(text, "must be a JSON list of {name, url}")))


def _link(entry: Any) -> Link:
    if not isinstance(entry, dict) or set(entry) != {"name", "url"}:
        raise ValueError("has an entry that is not an object with exactly name and url")
    name, url = entry["name"], entry["url"]
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        raise ValueError(f"has a name that is not a text of 1 to {LONGEST_NAME} characters")
    line(name)
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


@dataclass(frozen=True, kw_only=True)
class BrandSettings:
    """The settings of the operator's brand. ``Config`` inherits them."""

    site_name: str = setting("The name that pages and emails show.", line, default="authsite")
    site_logo: Logo = setting(  # noqa: RUF009 it is a field, as the others are
        "The logo beside SITE_NAME: path of an SVG or PNG file, at most 200 KB, or a URL path on "
        "this origin. Shown at most 36 px tall and 10rem wide.",
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
    # Commands may run as the owner of the folder; the server, which strangers reach, may not.
    folder = config.templates_dir if production and "AUTHSITE_SERVES" in os.environ else None
    if folder and (writable := _writable(folder)):
        yield (
            f"TEMPLATES_DIR: the site's process can write to {writable}; an attacker could change "
            "the pages. Make it read-only for this user"
        )


def _writable(top: Path) -> Path | None:
    """Return the first path through which this process can change what is in ``top``, or None.

    Symbolic links are followed. A folder above ``top`` counts, too, because ``top`` can be renamed
    in it and replaced.
    """
    pattern = f"{escape(str(top))}/**"
    below = iglob(pattern, recursive=True, include_hidden=True)  # noqa: PTH207 Path.glob follows no links before Python 3.13
    above = (path for start in (top, top.resolve()) for path in _above(start))
    return next((path for path in (*map(Path, below), *above) if os.access(path, os.W_OK)), None)


def _above(path: Path) -> Iterator[Path]:
    """Return the folders above ``path`` up to its mount point, which nobody can rename."""
    return (part.parent for part in takewhile(lambda p: not p.is_mount(), (path, *path.parents)))
