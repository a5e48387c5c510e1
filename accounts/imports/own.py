"""Reads what ``export_users`` has written (``accounts.exports.people``)."""

import re
from typing import Any, BinaryIO
from uuid import UUID

from accounts.deletion.erasure import log_file, read_log
from accounts.exports.people import FORMAT, PARTS, VERSION
from accounts.imports.files import Record, json_lines
from accounts.imports.parts import (
    BadRow,
    FoundEmail,
    FoundPerson,
    FoundRow,
    Options,
    Rows,
    add_passkey,
)
from accounts.imports.portions import MOST_CODES
from accounts.passwords import foreign
from accounts.twofactor.models import seal_digests
from accounts.twofactor.webauthn import rp_id
from accounts.users.models import LOCKED, locked_password

COLUMNS = (
    *("about", "time_zone", "last_login", "password_at", "emailed_codes", "updated_at"),
    *("deletion_due", "given_name", "family_name"),
)
DIGEST = re.compile("[0-9a-f]{64}")
# Members of an account whose rows are stored as they are.
ROWS = ("terms", "providers", "consents", "app_subjects")


def read(file: BinaryIO, _options: Options) -> Rows:
    """Yield the people in ``file``.

    Raises:
        BadRow: the file is not an export of this site's program, or of a newer one.
    """
    lines = json_lines(file)
    head = next(lines, None)
    is_known = isinstance(head, Record) and head.members.get("format") == FORMAT
    if not (is_known and isinstance(head, Record) and head.members.get("version") == VERSION):
        raise BadRow(f"The file is not an export of users in version {VERSION}.")
    options = Options(keeps_passkeys=head.text("passkey_domain") == rp_id())
    erased = set(read_log(log_file())) if log_file().exists() else set()
    for line in lines:
        try:
            person = line if isinstance(line, BadRow) else _person(line, options)
            if isinstance(person, FoundPerson) and person.id in erased:
                raise BadRow("The account was deleted here.")
            yield person
        except BadRow as error:
            yield error


def _person(record: Record, options: Options) -> FoundPerson:
    primary = record.text("email")
    addresses = [
        FoundEmail(row.text("email"), True, row.time("confirmed_at"), row.time("vouched_at"))
        for row in record.records("emails")
    ]
    person = FoundPerson(
        id=_id(record.text("id")),
        username=record.text("username"),
        emails=sorted(addresses, key=lambda row: row.email != primary),
        display_name=record.text("display_name"),
        language=record.text("language"),
        joined=record.time("date_joined"),
        is_active=record.flag("is_active", default=True),
        groups=record.texts("groups"),
        columns=_columns(record, COLUMNS),
    )
    if record.flag("is_staff") or record.items("permissions", str):
        person.notes.append("The rights of staff are left out.")
    _set_password(person, record.text("password"))
    for name in ROWS:
        rows = record.records(name)
        person.rows += [FoundRow(PARTS[name].label, _columns(r, PARTS[name].columns)) for r in rows]
    for row in record.records("passkeys"):
        texts: dict[str, Any] = {
            name: row.text(name) for name in ("credential_id", "public_key", "aaguid")
        }
        texts["transports"] = row.texts("transports")
        columns = _columns(row, PARTS["passkeys"].columns) | texts
        add_passkey(person, columns, options)
    for row in record.records("totp"):
        names = ("name", "last_t", "made_at", "used_at")
        person.seeds[row.text("seed")] = _columns(row, names)
    for row in record.records("recovery_codes"):
        person.rows.append(FoundRow(PARTS["recovery_codes"].label, _recovery_codes(row)))
    return person


def _recovery_codes(row: Record) -> dict[str, Any]:
    digests = row.texts("digests")
    if len(digests) > MOST_CODES or not all(map(DIGEST.fullmatch, digests)):
        raise BadRow("The recovery codes are damaged, or there are too many.")
    sealed = seal_digests(row.text("salt"), digests)
    return _columns(row, ("name", "made_at", "saved_at")) | {"sealed": sealed}


def _columns(record: Record, names: Any) -> dict[str, Any]:
    """Return these members, unless they are missing. All of them have to be simple values."""
    columns = {name: record.members[name] for name in names if name in record.members}
    for name in columns:
        if name.endswith(("_at", "_due", "_login", "since")):
            columns[name] = record.time(name)
        elif name != "transports":
            record.text(name)
    return columns


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise BadRow("The id is not a UUID.") from None


def _set_password(person: FoundPerson, password: str) -> None:
    encoded = password.removeprefix(LOCKED)
    try:
        person.password = foreign.accept_portable(encoded) if encoded[:1] not in {"", "!"} else ""
    except ValueError as error:
        person.notes.append(f"The password is left out: {error}.")
    if password.startswith(LOCKED):
        person.password = locked_password(person.password or None)
