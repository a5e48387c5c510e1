"""Update ``locale/`` with the texts of code and templates: ``make messages``.

This is written in Python, so that the gettext programs are not needed. Each language has two
files: translators edit the ``.po`` file, and the site reads the ``.mo`` file. A variant of a
language, such as formal German, has the texts that differ, in a folder of ``locale/variants``.
"""

import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "locale"
NAME = "LC_MESSAGES/django"
VARIANTS = sorted(
    str(folder.relative_to(LOCALE)) for folder in LOCALE.glob("variants/*/*") if folder.is_dir()
)

KEYWORDS = DEFAULT_KEYWORDS | {
    f"{name}_lazy": DEFAULT_KEYWORDS[name] for name in ("gettext", "ngettext", "pgettext")
}
# A call of gettext in what Django's ``templatize`` makes of a template.
CALL = re.compile(
    r"""\b(?:_|n?p?gettext)\((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"')])*\)""", re.DOTALL
)

type Text = str | tuple[str, ...]


def used() -> Catalog:
    """Return all texts of code and templates, with the files that use them."""
    catalog = Catalog(charset="utf-8")
    for path in _sources():
        for text, context in _texts(path):
            catalog.add(text, locations=[(str(path.relative_to(ROOT)), 0)], context=context)
    return catalog


def read(language: str) -> Catalog:
    """Return the translations in the ``.po`` file of a folder of ``locale/``, or none."""
    path, name = LOCALE / language / f"{NAME}.po", Path(language).name
    if not path.exists():
        return Catalog(locale=name, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=name)


def update(language: str) -> Catalog:
    """Write both files of a language: with new texts untranslated, and without unused texts.

    A variant gets no new texts.
    """
    catalog, template = read(language), used()
    if language in VARIANTS:
        for message in [message for message in template if message.id]:
            if catalog.get(message.id, message.context) is None:
                template.delete(message.id, message.context)
    # Otherwise the date would change at every run.
    template.creation_date = catalog.creation_date
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    path = LOCALE / language / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".po").open("wb") as file:
        write_po(file, catalog, width=100, sort_by_file=True, include_lineno=False)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)
    return catalog


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the singular and plural forms of a text, or its only form."""
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def templates() -> list[Path]:
    """Return the site's own templates. An app that others have added has a folder of its own."""
    pages = ROOT / "templates"
    folders = [pages.glob("*.*"), *((pages / own).rglob("*.*") for own in ("accounts", "admin"))]
    return sorted(chain.from_iterable(folders))


def _sources() -> Iterator[Path]:
    for folder in ("accounts", "authsite"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield from templates()


def _texts(path: Path) -> Iterator[tuple[Text, str | None]]:
    """Yield each text in a file, with singular and plural together, and its context."""
    source = path.read_text()
    if path.suffix != ".py":
        source = "\n".join(CALL.findall(templatize(source)))
    for _line, text, _comments, context in extract("python", BytesIO(source.encode()), KEYWORDS):
        yield text, context


if __name__ == "__main__":
    languages = sorted(path.name for path in LOCALE.iterdir() if path.name != "variants")
    for language in [*languages, *VARIANTS]:
        missing = [str(message.id) for message in update(language) if "" in forms(message.string)]
        print(f"{language}: {len(missing)} to translate", *missing, sep="\n  ")  # noqa: T201 the command's result
