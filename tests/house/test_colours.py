"""The contrast of colours in the style sheet."""

import re

import pytest

from tests.support.site import ROOT

STYLE = (ROOT / "static/app.css").read_text()
# WCAG 2.2, 1.4.11: the contrast of the border that marks a field.
LEAST_CONTRAST = 3.0


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rgb` or `#rrggbb`, as WCAG 2.2 defines it."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [part / 255 for part in bytes.fromhex(digits)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("look", [0, 1], ids=["light", "dark"])
def test_the_border_of_every_field_has_enough_contrast(look: int) -> None:
    found = re.findall(r"--([\w-]+): light-dark\(#(\w+), #(\w+)\)", STYLE)
    lights = {name: luminance(colours[look]) for name, *colours in found}
    border = lights["edge"]

    for name in ("field", "surface", "page"):
        high, low = max(border, lights[name]), min(border, lights[name])
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, name
    rule = re.search(r"\n  \.input \{([^}&]*)", STYLE)
    assert rule
    assert "solid var(--edge);" in rule[1]
    assert "background: var(--field);" in rule[1]
