"""Converts colours between sRGB and OKLCH, and computes the contrast of two colours.

OKLCH describes a colour by lightness (0 to 1), chroma and hue. Each of the three can be changed
without changing the other two. The matrices are those of Björn Ottosson, "A perceptual color space
for image processing" (2020, https://bottosson.github.io/posts/oklab/), which CSS Color 4 adopts.
Luminance and contrast are defined in WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
and #dfn-contrast-ratio.
"""

import math
import re

type Triple = tuple[float, float, float]

# A channel may be this far outside of 0 to 1: less than rounding to 8 bits changes.
TOLERANCE = 0.0005
# Halvings of the interval in which the greatest displayable chroma lies.
PRECISION = 20


def is_colour(text: str) -> bool:
    """Return whether ``text`` is ``#`` and six hexadecimal digits."""
    return re.fullmatch(r"#[0-9a-fA-F]{6}", text) is not None


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
