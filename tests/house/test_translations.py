"""The translations into other languages than English are complete, exact and compiled."""

import re
from collections import Counter

import pytest
from babel.messages.mofile import read_mo
from django.conf import settings
from django.utils.translation import to_locale

from tests.support.translations import LOCALE, NAME, VARIANTS, forms, read, used

LANGUAGES = [to_locale(code) for code, _name in settings.LANGUAGES[1:]]
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%")
TAG = re.compile(r"<[^>]*>")
# French has a no-break space before some marks. Japanese and Arabic have marks of their own.
MARKS = str.maketrans("。、：？،؟", ".,:?,?", "\N{NO-BREAK SPACE}")
# Arabic has forms for none, one and two, in which the word itself says the number.
WITHOUT_NUMBER = {"ar": 3}
# What formal German never says to its reader.
INFORMAL = re.compile(r"\b(du|dich|dir|dein\w*|euch|euer|eure\w*)\b", re.IGNORECASE)


@pytest.fixture(params=[*LANGUAGES, *VARIANTS])
def language(request):
    return request.param


@pytest.fixture
def catalog(language):
    return read(language)


def messages(catalog):
    return [message for message in catalog if message.id]


def by_original(catalog):
    return {(forms(m.id), m.context): forms(m.string) for m in messages(catalog)}


def pairs(message):
    """Pair each translated form with its original; the numbers of plural forms may differ."""
    originals, translations = forms(message.id), forms(message.string)
    first = len(originals) - 1 if len(translations) == 1 else 0
    return [
        (originals[min(n, 1, len(originals) - 1) or first], t) for n, t in enumerate(translations)
    ]


def parts(pattern, text):
    return Counter(pattern.findall(text))


def ends(text):
    """Return the spaces at both ends of a text, and the punctuation at its end."""
    text = text.translate(MARKS)
    return re.findall(r"^\s*", text), re.findall(r"[\s.:,?…]*$", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_in_use_is_translated_and_no_unused_text_is_kept(catalog):
    there, needed = set(by_original(catalog)), set(by_original(used()))
    undone = [m.id for m in messages(catalog) if m.fuzzy or not all(forms(m.string))]

    assert there >= needed, "make messages adds them"
    assert needed >= there, "make messages drops them"
    assert list(catalog.obsolete) == []
    assert undone == []


def test_a_translation_keeps_the_placeholders_tags_and_punctuation_of_its_original(
    language, catalog
):
    for message in messages(catalog):
        for number, (original, translation) in enumerate(pairs(message)):
            is_plural = isinstance(message.id, tuple)
            if not (is_plural and number < WITHOUT_NUMBER.get(language, 0)):
                assert parts(PLACEHOLDER, translation) == parts(PLACEHOLDER, original), translation
            assert parts(TAG, translation) == parts(TAG, original), translation
            # Templates do not escape translations, in attributes neither.
            assert not set("\"'<>") & set(TAG.sub("", translation)), translation
            # The text may be part of a sentence or a label.
            assert ends(translation) == ends(original), translation


def test_the_compiled_translations_equal_their_source(language, catalog):
    with (LOCALE / language / f"{NAME}.mo").open("rb") as file:
        compiled = read_mo(file)

    assert by_original(compiled) == by_original(catalog)


def test_formal_german_has_only_texts_that_differ_and_leaves_none_that_is_informal():
    german, formal = by_original(read("de")), by_original(read("variants/de-formal/de"))

    assert not formal.items() & german.items()
    assert set(formal) <= set(german)
    assert [
        text for text in (german | formal).values() if INFORMAL.search(TAG.sub("", " ".join(text)))
    ] == []
