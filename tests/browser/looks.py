"""One page on a computer in light and on the narrowest phone in the dark, and its faults there."""

from playwright.sync_api import Page

from tests.support.browser import axe

DESKTOP, NARROW = {"width": 1280, "height": 720}, {"width": 320, "height": 640}
# What axe finds on one device and not on another; of the rest it finds the same everywhere.
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")


def faults_of(page: Page, stop: str, *, every_look: bool = False) -> list[str]:
    """What axe says, and whether the page scrolls sideways; ``every_look`` takes all of axe twice.

    320 pixels are the width at which WCAG 1.4.10 wants no scrolling in two directions.
    """
    faults = []
    for colours, size in (("light", DESKTOP), ("dark", NARROW)):
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size(size)
        found = axe(page, *(() if size == DESKTOP or every_look else OF_LOOKS))
        if page.evaluate("width => document.documentElement.scrollWidth > width", size["width"]):
            found.append("scrolls sideways")
        faults += [f"{stop}, {colours}: {fault}" for fault in found]
    page.set_viewport_size(DESKTOP)
    return faults
