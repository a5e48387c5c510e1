"""Computes the colours of the pages from the brand's colour.

OKLCH describes a colour by lightness (0 to 1), chroma and hue. Each of the three can be changed
without changing the other two. The matrices are those of Björn Ottosson, "A perceptual color space
for image processing" (2020, https://bottosson.github.io/posts/oklab/), which CSS Color 4 adopts.
Luminance and contrast are defined in WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
and #dfn-contrast-ratio.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

type Triple = tuple[float, float, float]

# A channel may be this far outside of 0 to 1, which is less than rounding to 8 bits changes.
TOLERANCE = 0.0005
# How often the interval that contains the greatest displayable chroma is halved.
PRECISION = 20


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two ``#rrggbb`` colours, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def to_oklch(colour: str) -> Triple:
    """Return the lightness, chroma and hue (in radians) of a ``#rrggbb`` colour."""
    red, green, blue = _linear_rgb(colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.atan2(b, a)


def from_oklch(lightness: float, chroma: float, hue: float) -> str:
    """Convert a colour from OKLCH to ``#rrggbb``.

    If sRGB cannot show the colour, the chroma is reduced as far as necessary.
    """
    if _is_displayable(channels := _to_linear_rgb(lightness, chroma, hue)):
        return _hexadecimal(channels)
    least, most = 0.0, chroma
    for _halving in range(PRECISION):
        middle = (least + most) / 2
        if _is_displayable(_to_linear_rgb(lightness, middle, hue)):
            least = middle
        else:
            most = middle
    return _hexadecimal(_to_linear_rgb(lightness, least, hue))


def _luminance(colour: str) -> float:
    red, green, blue = _linear_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear_rgb(colour: str) -> Triple:
    red, green, blue = (_linear(channel / 255) for channel in bytes.fromhex(colour[1:]))
    return red, green, blue


def _to_linear_rgb(lightness: float, chroma: float, hue: float) -> Triple:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _is_displayable(channels: Triple) -> bool:
    return all(-TOLERANCE <= channel <= 1 + TOLERANCE for channel in channels)


def _hexadecimal(channels: Triple) -> str:
    parts = (round(255 * _gamma(min(1.0, max(0.0, channel)))) for channel in channels)
    return "#" + bytes(parts).hex()


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


# WCAG 2.2, success criterion 1.4.3.
LEAST_CONTRAST = 4.5
WHITE, INK, BLACK = "#ffffff", "#0b1222", "#000000"
# The step by which the lightness of a colour moves until its contrast is sufficient.
STEP = 0.005
# How far the lightness of a button moves while the pointer is over it.
HOVER = 0.06


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
    # Move the lightness away from the text, so that contrast grows; towards it if the colour is at
    # the end of the scale.
    away = -HOVER if on_fill == WHITE else HOVER
    target = lightness + away if 0 <= lightness + away <= 1 else lightness - away
    return Tokens(accent, soft, colour, from_oklch(target, chroma, hue), on_fill)


def _is_readable(text: str, grounds: Iterable[str]) -> bool:
    return all(contrast(text, ground) >= LEAST_CONTRAST for ground in grounds)
