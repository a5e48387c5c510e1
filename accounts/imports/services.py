"""Writes the people of a file into the database, in portions of one transaction each.

An account is never merged with another one: a row whose email address, identity or passkey belongs
to an account is refused. A username that is taken, looks like another one or breaks the rules is
replaced by a similar one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import batched, islice
from time import sleep

from django.db import DataError, IntegrityError, connection, transaction

from accounts.imports.models import ImportedFile
from accounts.imports.parts import BadRow, Rows
from accounts.imports.portions import Note, NumberedRow, Portion, Taken

# Rows in a transaction. On SQLite, other writers wait for its end.
PORTION = 250
# SQLite has no queue of writers: they retry at intervals, mostly without success if there is no
# pause.
PAUSE_SECONDS = 0.015


class Busy(Exception):
    """Another process is importing the same file."""


@dataclass
class Import:
    """An import of a file. A trial writes nothing.

    ``tell`` is called with each message about a row, ``progress`` with the number of rows after
    each portion.
    ``notify``: whether each person is notified by email.
    ``earlier``: how many rows earlier runs have imported or refused.
    """

    tell: Callable[[Note], None]
    progress: Callable[[int], None]
    is_trial: bool = False
    notify: bool = False
    imported: int = 0
    refused: int = 0
    earlier: int = 0

    def run(self, rows: Rows, digest: str) -> None:
        """Import the rows, which have this SHA-256, from where an earlier run has ended.

        Raises:
            BadRow: the file has another format.
            Busy: another process is importing the file.
        """
        file = ImportedFile.objects.filter(pk=digest).first() or ImportedFile(pk=digest)
        if not self.is_trial and file._state.adding:
            file.save()
        self.earlier, taken = file.rows, Taken()
        numbered = islice(enumerate(rows, 1), self.earlier, None)
        for portion in batched(numbered, PORTION):
            notes = Portion(taken).check(portion) if self.is_trial else self._write(portion, file)
            if connection.vendor == "sqlite" and not self.is_trial:
                sleep(PAUSE_SECONDS)
            for note in sorted(notes):
                self.tell(note)
            refused = sum(note.is_refusal for note in notes)
            self.refused += refused
            self.imported += len(portion) - refused
            self.progress(portion[-1][0])

    def _write(self, rows: tuple[NumberedRow, ...], file: ImportedFile) -> list[Note]:
        """Write ``rows`` in one transaction; if the database refuses a row, write each row alone.

        A row may be refused because somebody has taken a name or an address meanwhile.
        """
        try:
            with transaction.atomic():
                _advance(file, rows[-1][0])
                portion = Portion(Taken())
                notes = portion.check(rows)
                portion.write(notify=self.notify)
        except (IntegrityError, DataError, ValueError, OverflowError):
            if len(rows) > 1:
                return [note for row in rows for note in self._write((row,), file)]
            number, row = rows[0]
            if isinstance(row, BadRow):
                raise
            return self._write(((number, BadRow("The database cannot store the row.")),), file)
        file.rows = rows[-1][0]
        return notes


def _advance(file: ImportedFile, rows: int) -> None:
    """Record ``rows`` more finished rows of ``file``; lock its row until the transaction ends."""
    if not ImportedFile.objects.filter(pk=file.pk, rows=file.rows).update(rows=rows):
        raise Busy("Another process is importing this file.")
