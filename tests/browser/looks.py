"""One page on every device, in light and dark, and what is wrong with it there."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from tests.support.browser import MOBILE, axe

DESKTOP, NARROW = {"width": 1280, "height": 720}, {"width": 320, "height": 640}
# What axe finds on one device and not on another; of the rest it finds the same everywhere.
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
OVERFLOWS = "width => document.documentElement.scrollWidth > width"


def faults_of(page: Page, stop: str, *, every_look: bool = False, first: bool = True) -> list[str]:
    """On a computer, on a phone, and on the narrowest one in the dark.

    ``every_look`` asks axe about the phone as well, and about the computer in the dark; a page
    whose ``first`` state has been seen is looked at on a computer and the narrowest phone only.
    """
    page.wait_for_load_state()
    faults = [f"{stop}, light: {fault}" for fault in [*_wide(page, DESKTOP), *axe(page)]]
    if not (first or every_look):
        page.set_viewport_size(NARROW)
        faults += [f"{stop}, {NARROW['width']} pixels: {fault}" for fault in _wide(page, NARROW)]
        page.set_viewport_size(DESKTOP)
        return faults
    with _phone(page):
        look = _in_this_look if every_look else _wide
        faults += [f"{stop}, phone: {fault}" for fault in look(page, MOBILE["viewport"])]
    page.emulate_media(color_scheme="dark")
    for size in (NARROW, DESKTOP):  # a walk goes on as wide as it began
        page.set_viewport_size(size)
        if size == NARROW or every_look:
            where = f"{stop}, {size['width']} pixels and dark"
            faults += [f"{where}: {fault}" for fault in _in_this_look(page, size)]
    page.emulate_media(color_scheme="light")
    return faults


def _in_this_look(page: Page, size: dict[str, int]) -> list[str]:
    return [*_wide(page, size), *axe(page, *OF_LOOKS)]


def _wide(page: Page, size: dict[str, int]) -> Iterator[str]:
    # Not ``innerWidth``: on a phone that grows with what doesn't fit.
    if page.evaluate(OVERFLOWS, size["width"]):
        yield "scrolls sideways"


@contextmanager
def _phone(page: Page) -> Iterator[None]:
    """With the screen and the touch of one."""
    session = page.context.new_cdp_session(page)
    screen = MOBILE["viewport"] | {"deviceScaleFactor": MOBILE["device_scale_factor"]}
    session.send("Emulation.setDeviceMetricsOverride", screen | {"mobile": MOBILE["is_mobile"]})
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": MOBILE["has_touch"]})
    try:
        yield
    finally:
        session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        session.detach()
