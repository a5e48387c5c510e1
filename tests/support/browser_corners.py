"""Checks a page with large text, from right to left, and in forced colours."""

from playwright.sync_api import Page

NORMAL, LARGE = 16, 32  # pixels: the usual text size of browsers, and 200 % of it (WCAG 1.4.4)
# Only the values of fields may be wider than their box. Forced colours remove backgrounds, so that
# a chosen link must differ from the others in its edge or weight, and a control must have an edge.
FIND = """
() => {
  const styleOf = element => getComputedStyle(element)
  const edge = element => {
    const { fontWeight, borderInlineStartColor, outlineStyle } = styleOf(element)
    return `${fontWeight} ${borderInlineStartColor} ${outlineStyle}`
  }
  const isOutside = element => {
    const { left, right } = element.getBoundingClientRect()
    return left < -1 || right > innerWidth + 1
  }
  const others = element =>
    [...element.closest('nav').querySelectorAll('a:not([aria-current])')]
  const is = (selector, test) => element => element.matches(selector) && test(element)
  const FAULTS = {
    'is outside the screen': isOutside,
    'is wider than its box': is(
      ':not(input, select, textarea)',
      element => element.clientWidth && element.scrollWidth > element.clientWidth + 1
    ),
    'has no room for words': is(
      '.input', element => element.clientWidth < 5 * parseFloat(styleOf(element).fontSize)
    ),
    'has no words': is('.state, .tag', element => !element.innerText.trim()),
    'has no edge': is(
      '.button, .input, .track, .notice, .card',
      element => styleOf(element).borderTopStyle === 'none'
    ),
    'looks like the others': is(
      '[aria-current]', element => others(element).some(other => edge(other) === edge(element))
    ),
  }
  const shown = [...document.querySelectorAll('body *')].filter(
    element => element.checkVisibility({ visibilityProperty: true })
      && !element.closest('.hidden-visually, .skip, svg')
  )
  const found = Object.entries(FAULTS).flatMap(([fault, test]) =>
    shown.filter(test).map(element => `${fault}: ${element.outerHTML.slice(0, 200)}`)
  )
  const scrolls = document.documentElement.scrollWidth > innerWidth
  return scrolls ? ['scrolls sideways', ...found] : found
}
"""


def faults_in_corners(page: Page) -> list[str]:
    """Return the faults of a page on a phone with large text, right to left, in forced colours.

    The menu is open.
    """
    session = page.context.new_cdp_session(page)

    def set_text_size(pixels: int) -> None:
        sizes = {"standard": pixels, "fixed": pixels}
        session.send("Page.setFontSizes", {"fontSizes": sizes})

    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(forced_colors="active")
    set_text_size(LARGE)
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.evaluate("document.querySelector('[popover]')?.showPopover()")
    found: list[str] = page.evaluate(FIND)
    set_text_size(NORMAL)
    page.emulate_media(forced_colors="none")
    session.detach()
    return found
