"""``make messages``: bring ``locale/`` up to date with every text of code and templates.

In Python alone, so that no machine needs the gettext programs. Each language has two files: the
``.po``, in which people translate, and the ``.mo``, which the site reads.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "locale"
NAME = "LC_MESSAGES/django"

KEYWORDS = DEFAULT_KEYWORDS | {
    f"{name}_lazy": DEFAULT_KEYWORDS[name] for name in ("gettext", "ngettext", "pgettext")
}
# What Django makes of a template: calls like those of Python, between rubbish.
CALL = re.compile(
    r"""\b(?:_|n?p?gettext)\((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"')])*\)""", re.DOTALL
)

type Text = str | tuple[str, ...]


def used() -> Catalog:
    """Every text of code and templates, with the files that use it, sorted by these."""
    catalog = Catalog(charset="utf-8")
    for path in _sources():
        for text, context in _texts(path):
            catalog.add(text, locations=[(str(path.relative_to(ROOT)), 0)], context=context)
    return catalog


def read(language: str) -> Catalog:
    """The translations in the ``.po`` of ``language``; none if there is no such file yet."""
    path = LOCALE / language / f"{NAME}.po"
    if not path.exists():
        return Catalog(locale=language, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> Catalog:
    """Write both files: with new texts, untranslated, and without those no longer used."""
    catalog, template = read(language), used()
    # Or it would change with every run.
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


def _sources() -> Iterator[Path]:
    for folder, pattern in (("accounts", "*.py"), ("authsite", "*.py"), ("templates", "*.*")):
        yield from sorted((ROOT / folder).rglob(pattern))


def _texts(path: Path) -> Iterator[tuple[Text, str | None]]:
    """Each text in the file, singular and plural together, and its context."""
    source = path.read_text()
    if path.suffix != ".py":
        source = "\n".join(CALL.findall(templatize(source)))
    for _line, text, _comments, context in extract("python", BytesIO(source.encode()), KEYWORDS):
        yield text, context


if __name__ == "__main__":
    for folder in sorted(LOCALE.iterdir()):
        missing = [str(message.id) for message in update(folder.name) if not message.string]
        print(f"{folder.name}: {len(missing)} to translate", *missing, sep="\n  ")  # noqa: T201
