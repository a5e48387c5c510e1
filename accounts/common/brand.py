"""The operator's brand: the colours that follow from ``SITE_COLOUR``, and the files of the logo.

Pages use :func:`brand_of` through the template tag ``{% brand %}``. Emails use
:func:`email_colours`, because they have no style sheet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from accounts.common.brand_settings import CSS, SVG, BrandSettings, File, Logo
from accounts.common.oklch import contrast, from_oklch, to_oklch

# WCAG 2.2, success criterion 1.4.3.
LEAST_CONTRAST = 4.5
WHITE, INK, BLACK = "#ffffff", "#0b1222", "#000000"
# The step by which the lightness of a colour moves until its contrast is sufficient.
STEP = 0.005
# How far the lightness of a button moves while the pointer is over it.
HOVER = 0.06
HASH_DIGITS = 12

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
    '<path fill="{fill}" d="M12 2 3 5.5V12c0 5.5 4 9 9 10 5-1 9-4.5 9-10V5.5z"/>'
    '<path fill="none" stroke="{on_fill}" stroke-width="2.2" d="m8 12 3 3 5-5.5"/></svg>\n'
)


@dataclass(frozen=True)
class Scheme:
    """One of the two colour schemes of the pages: light or dark.

    Attributes:
        grounds: the background colours of this scheme in ``static/app.css``.
        soft: the lightness (OKLCH) of the background that is tinted with the brand's colour.
        direction: -1 if darker text has more contrast in this scheme, 1 if lighter text has.
    """

    grounds: tuple[str, ...]
    soft: float
    direction: int


@dataclass(frozen=True)
class Tokens:
    """The brand's colours in one colour scheme.

    Each attribute is the value of a custom property in ``static/app.css``.

    Attributes:
        accent: the colour of links and edges.
        accent_soft: a background with a tint of the brand's colour.
        fill: the background of main buttons.
        fill_strong: the background of a main button while the pointer is over it.
        on_fill: the colour of text on ``fill`` and ``fill_strong``.
    """

    accent: str
    accent_soft: str
    fill: str
    fill_strong: str
    on_fill: str


LIGHT = Scheme(("#ffffff", "#f5f6f8", "#e3f5ea", "#fdf1dc", "#fdecea"), 0.955, -1)
DARK = Scheme(("#181c22", "#0f1216", "#14301f", "#35290f", "#3a1d1b"), 0.27, 1)
# The colours of static/app.css, for a site without SITE_COLOUR.
LIGHT_DEFAULT = Tokens("#1d4ed8", "#e8effd", "#1d4ed8", "#1a43b8", "#ffffff")
DARK_DEFAULT = Tokens("#8ab4ff", "#1b2740", "#8ab4ff", "#a6c6ff", "#0b1222")


@dataclass(frozen=True)
class Brand:
    """The files that pages use to show the operator's brand.

    Attributes:
        style: the URL of the style sheet with the brand's colours, or "" for the default colours.
        favicon: the URL of the icon in the brand's colour, or "" for the default icon.
        logo: the URL of the logo, or "" if there is none.
        logo_dark: the URL of the logo for dark mode, or "" if there is none.
        files: the contents of the files that this site serves, by file name.
    """

    style: str
    favicon: str
    logo: str
    logo_dark: str
    files: Mapping[str, File]


def tokens(colour: str, scheme: Scheme) -> Tokens:
    """Compute the colours of a scheme from the brand's colour.

    The background of main buttons is exactly ``colour``. The colour of links keeps the hue of
    ``colour``; its lightness changes only until its contrast is at least 4.5:1 on every background.

    Args:
        colour: the brand's colour as ``#rrggbb``.
        scheme: the light or the dark scheme.
    """
    colour = colour.lower()
    lightness, chroma, hue = to_oklch(colour)
    soft = from_oklch(scheme.soft, min(chroma, 0.04), hue)
    grounds = (*scheme.grounds, soft)
    accent, moved = colour, lightness
    while not _is_readable(accent, grounds):
        moved += scheme.direction * STEP
        accent = from_oklch(min(1.0, max(0.0, moved)), chroma, hue)
    on_fill = next(text for text in (WHITE, INK, BLACK) if _is_readable(text, (colour,)))
    # Away from the text, so that contrast grows; the other way if the colour is at the end.
    away = -HOVER if on_fill == WHITE else HOVER
    target = lightness + away if 0 <= lightness + away <= 1 else lightness - away
    return Tokens(accent, soft, colour, from_oklch(target, chroma, hue), on_fill)


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
        name = f"{stem}.{digest}.{given.extension}"
        files[name] = given
        return f"/brand/{name}"

    return Brand(
        style=url("brand", File(_style(colour), CSS)) if colour else "",
        favicon=url("favicon", File(_favicon(colour), SVG)) if colour else "",
        logo=url("logo", logo),
        logo_dark=url("logo-dark", logo_dark),
        files=files,
    )


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


def _favicon(colour: str) -> bytes:
    light = tokens(colour, LIGHT)
    return FAVICON.format(fill=light.fill, on_fill=light.on_fill).encode()


def _is_readable(text: str, grounds: Iterable[str]) -> bool:
    return all(contrast(text, ground) >= LEAST_CONTRAST for ground in grounds)
