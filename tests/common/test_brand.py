"""The colours that follow from ``SITE_COLOUR`` can be read, whatever the colour is."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts.common.brand.colours import (
    DARK,
    DARK_DEFAULT,
    LEAST_CONTRAST,
    LIGHT,
    LIGHT_DEFAULT,
    Tokens,
    contrast,
    tokens,
)
from accounts.common.brand.files import BrandSettings, email_colours
from tests.support.site import ROOT
from tests.support.standards import proves

SCHEMES = pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
PAIR = re.compile(r"--([\w-]+): light-dark\(#(\w+), #(\w+)\)")
# A busy machine may take long for one of them.
any_time = settings(deadline=None, database=None)
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
# On a tinted ground, too.
TEXTS = ("text", "muted", "ok", "warn", "danger")


def long(digits):
    return f"#{digits if len(digits) == 6 else ''.join(2 * digit for digit in digits)}"


def properties(name):
    """Return the colours of a style sheet in ``static/``, light and dark."""
    found = PAIR.findall((ROOT / "static" / name).read_text())
    return {key: (long(light), long(dark)) for key, light, dark in found}


APP = properties("app.css")


@proves("WCAG-1.4.3")
@SCHEMES
@any_time
@given(colour=COLOURS)
@example("#ffff00")
@example("#0000ff")
@example("#00ff00")
def test_every_colour_gives_text_that_can_be_read(scheme, colour):
    made = tokens(colour, scheme)
    look = 0 if scheme is LIGHT else 1

    assert made.fill == colour
    for ground in (*scheme.grounds, made.accent_soft):
        assert contrast(made.accent, ground) >= LEAST_CONTRAST, (colour, ground)
    for ground in (made.fill, made.fill_strong):
        assert contrast(made.on_fill, ground) >= LEAST_CONTRAST, (colour, ground)
    for text in TEXTS:
        assert contrast(APP[text][look], made.accent_soft) >= LEAST_CONTRAST, (colour, text)


@SCHEMES
def test_a_colour_with_enough_contrast_stays_as_it_is(scheme):
    colour = LIGHT_DEFAULT.accent if scheme is LIGHT else DARK_DEFAULT.accent

    assert tokens(colour, scheme).accent == colour


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.005)
    assert contrast("#123456", "#123456") == 1


def test_the_grounds_and_defaults_are_those_of_the_style_sheets():
    names = ("surface", "page", "ok-soft", "warn-soft", "danger-soft")
    assert tuple(APP[name][0] for name in names) == LIGHT.grounds
    assert tuple(APP[name][1] for name in names) == DARK.grounds
    # Fields have a ground of their own, which is one of these.
    assert APP["field"] == (LIGHT.grounds[0], DARK.grounds[1])
    ours = ("accent", "accent-soft", "fill", "fill-strong", "on-fill")
    assert Tokens(*(APP[name][0] for name in ours)) == LIGHT_DEFAULT
    assert Tokens(*(APP[name][1] for name in ours)) == DARK_DEFAULT
    admin = properties("admin.css")
    shared = {name for name in admin if not name.startswith("message-")}
    assert {name: admin[name] for name in shared} == {name: APP[name] for name in shared}
    for name, ground in {"success": "ok", "warning": "warn", "error": "danger"}.items():
        assert admin[f"message-{name}-bg"] == APP[f"{ground}-soft"]


def test_emails_have_the_colours_of_the_brand():
    assert email_colours(BrandSettings()) == (LIGHT_DEFAULT, DARK_DEFAULT)
    light, dark = email_colours(BrandSettings(site_colour="#ffd21f"))

    assert (light.fill, light.on_fill) == ("#ffd21f", "#0b1222")
    assert contrast(light.accent, "#ffffff") >= LEAST_CONTRAST
    assert contrast(dark.accent, "#181c22") >= LEAST_CONTRAST
