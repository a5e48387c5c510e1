"""Rules for all templates of ours: no inline script or style, and every word translatable."""

import re
from html.parser import HTMLParser
from pathlib import Path

from django.template.loader import get_template
from django.utils import translation

from tests.support.standards import proves
from tests.support.translations import templates

FOLDER = Path(__file__).resolve().parents[2] / "templates"
TEMPLATES = [str(path.relative_to(FOLDER)) for path in templates() if path.suffix == ".html"]
# A mail program applies no policy of the site, and needs inline styles.
PAGES = [name for name in TEMPLATES if name != "accounts/mail/message.html"]

TRANSLATED = re.compile(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", re.DOTALL)
TEMPLATE_SYNTAX = re.compile(r"{%\s*comment.*?endcomment\s*%}|{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
READ_ALOUD = {"alt", "title", "aria-label", "placeholder"}
LETTERS = re.compile(r"[^\W\d_]{2}")


class Reader(HTMLParser):
    """Collects the untranslated words of a page, and what a strict CSP would block."""

    def __init__(self):
        super().__init__()
        self.words: list[str] = []
        self.inline: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag, attrs):
        self._tag = tag
        given = dict(attrs)
        self.words += [given[name] or "" for name in READ_ALOUD & set(given)]
        bad = [name for name in given if name == "style" or name.startswith("on")]
        bad += [
            f"{n}={v}" for n, v in attrs if (v or "").lower().startswith(("javascript:", "data:"))
        ]
        if tag == "style" or (tag == "script" and not {"src", "nonce"} <= set(given)):
            bad.append(tag)
        self.inline += bad

    def handle_data(self, data):
        # Emails have a style element, which is reported as inline on pages.
        if self._tag != "style":
            self.words.append(data)

    def handle_endtag(self, tag):
        self._tag = ""


def read(name):
    source = (FOLDER / name).read_text()
    reader = Reader()
    # Template variables are removed below, but a nonce must stay.
    source = source.replace("{{ csp_nonce }}", "nonce")
    reader.feed(TEMPLATE_SYNTAX.sub(" ", TRANSLATED.sub(" ", source)))
    return reader


def test_every_template_compiles_and_every_word_of_it_is_translatable():
    words = {}
    for name in TEMPLATES:
        get_template(name)
        words[name] = [word.strip() for word in read(name).words if LETTERS.search(word)]

    assert {name: found for name, found in words.items() if found} == {}


@proves("V1.2.3", "WCAG-1.3.2")
def test_no_page_has_inline_script_or_style():
    assert {name: inline for name in PAGES if (inline := read(name).inline)} == {}


@proves("WCAG-3.1.1")
def test_a_page_in_a_language_that_is_written_from_right_to_left_says_so():
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl"' in get_template("404.html").render()
