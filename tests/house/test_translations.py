"""The translations into other languages than English are complete, exact and compiled."""

import re
from collections import Counter

import pytest
from babel.messages.mofile import read_mo
from django.conf import settings

from tests.support.translations import LOCALE, NAME, read, used

LANGUAGES = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%")
TAG = re.compile(r"<[^>]*>")


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def catalog(language):
    return read(language)


def messages(catalog):
    return [message for message in catalog if message.id]


def by_original(catalog):
    return {(forms(m.id), m.context): forms(m.string) for m in messages(catalog)}


def forms(text):
    """Return the singular and plural forms of a text, or its only form."""
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def pairs(message):
    """Pair each translated form with its original; the numbers of plural forms may differ."""
    originals, translations = forms(message.id), forms(message.string)
    return [(originals[min(n, len(originals) - 1)], text) for n, text in enumerate(translations)]


def parts(pattern, text):
    return Counter(pattern.findall(text))


def test_every_text_in_use_is_translated_and_no_unused_text_is_kept(catalog):
    there, needed = set(by_original(catalog)), set(by_original(used()))
    undone = [m.id for m in messages(catalog) if m.fuzzy or not all(forms(m.string))]

    assert there >= needed, "make messages adds them"
    assert needed >= there, "make messages drops them"
    assert list(catalog.obsolete) == []
    assert undone == []


def test_a_translation_keeps_the_placeholders_tags_and_punctuation_of_its_original(catalog):
    for original, translation in (pair for m in messages(catalog) for pair in pairs(m)):
        for pattern in (PLACEHOLDER, TAG):
            assert parts(pattern, translation) == parts(pattern, original), translation
        # Templates do not escape translations, in attributes neither.
        assert not set("\"'<>") & set(TAG.sub("", translation)), translation
        # Spaces and punctuation at both ends stay: the text may be part of a sentence or a label.
        for marks in (r"^[\s:,]*", r"[\s.:,?…]*$"):
            assert re.findall(marks, translation) == re.findall(marks, original), translation


def test_the_compiled_translations_equal_their_source(language, catalog):
    with (LOCALE / language / f"{NAME}.mo").open("rb") as file:
        compiled = read_mo(file)

    assert by_original(compiled) == by_original(catalog)
