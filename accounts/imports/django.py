"""Reads users of Django, allauth and django-otp: a fixture of ``dumpdata``, or their database.

The data of a person is spread over several tables. The records are therefore first copied to a
temporary SQLite database on disk.
"""

import hmac
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha1, sha256
from typing import Any, BinaryIO

from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.imports.files import Record, Records, json_list
from accounts.imports.parts import (
    BadRow,
    FoundEmail,
    FoundPerson,
    Options,
    Rows,
    add_app,
    add_identity,
    set_password,
)

EMAIL, SOCIAL, FACTOR = "account.emailaddress", "socialaccount.socialaccount", "mfa.authenticator"
TOTP, STATIC, TOKEN = "otp_totp.totpdevice", "otp_static.staticdevice", "otp_static.statictoken"
GROUP, MEMBER = "auth.group", "membership"
TABLES = {
    GROUP: "auth_group",
    EMAIL: "account_emailaddress",
    SOCIAL: "socialaccount_socialaccount",
    FACTOR: "mfa_authenticator",
    TOTP: "otp_totp_totpdevice",
    STATIC: "otp_static_staticdevice",
    TOKEN: "otp_static_statictoken",
}
USER = {"password", "last_login", "is_active"}
FETCHED = 1000
# The defaults of allauth's MFA_RECOVERY_CODE_COUNT and MFA_RECOVERY_CODE_DIGITS.
CODES, DIGITS = 10, 8
SCHEMA = """
    CREATE TABLE people (number INTEGER PRIMARY KEY, data TEXT, error TEXT);
    CREATE TABLE parts (owner TEXT, model TEXT, data TEXT);
"""


def read(file: BinaryIO, _options: Options) -> Rows:
    """Yield the people of the fixture ``file``.

    Raises:
        BadRow: the file is not a list of objects.
    """
    with closing(Spool()) as spool:
        spool.fill(json_list(file))
        yield from spool.people()


class Spool:
    """The records of a fixture or database, stored on disk. ``digest``: their SHA-256."""

    def __init__(self) -> None:
        # With an empty name, SQLite creates a temporary file.
        self._disk = sqlite3.connect("")
        self._disk.executescript(SCHEMA)
        self._hash = sha256()
        self._groups: dict[str, str] = {}

    def close(self) -> None:
        """Delete the records."""
        self._disk.close()

    @property
    def digest(self) -> str:
        """The SHA-256 of all records."""
        return self._hash.hexdigest()

    def fill(self, records: Records) -> None:
        """Store ``records``. For an unreadable record, :meth:`people` yields an error."""
        for record in records:
            try:
                if isinstance(record, BadRow):
                    raise record
                self._store(record)
            except BadRow as error:
                self._disk.execute("INSERT INTO people VALUES (NULL, NULL, ?)", [str(error)])
        self._disk.execute("CREATE INDEX of_owner ON parts (owner)")

    def people(self) -> Rows:
        """Yield all people."""
        for data, error in self._disk.execute("SELECT data, error FROM people ORDER BY number"):
            try:
                if error:
                    raise BadRow(error)
                yield self._person(Record(json.loads(data)))
            except BadRow as bad:
                yield bad

    def _store(self, record: Record) -> None:
        model, fields = record.text("model").lower(), record.record("fields")
        data = json.dumps(record.members, default=str)
        self._hash.update(data.encode())
        if model == GROUP:
            name = fields.text("name")
            self._groups |= {_key(record.members.get("pk")): name, _key([name]): name}
        elif model in {*TABLES, MEMBER}:
            owner = fields.members.get("user")
            if model == TOKEN:
                owner = [STATIC, fields.members.get("device", fields.members.get("device_id"))]
            if owner is None:
                raise BadRow("The record belongs to nobody.")
            row = (_key(owner), model, data)
            self._disk.execute("INSERT INTO parts VALUES (?, ?, ?)", row)
        elif fields.members.keys() >= USER:
            self._disk.execute("INSERT INTO people VALUES (NULL, ?, NULL)", [data])

    def _person(self, record: Record) -> FoundPerson:
        fields = record.record("fields")
        names = (fields.text("first_name"), fields.text("last_name"))
        groups = fields.items("groups", *_KEYS)
        person = FoundPerson(
            username=fields.text("username"),
            display_name=" ".join(filter(None, names)),
            joined=fields.time("date_joined"),
            is_active=fields.flag("is_active"),
        )
        password = fields.text("password")
        # Django, too, treats a password that begins with this mark as unusable.
        set_password(person, "" if password.startswith("!") else password)
        if fields.flag("is_staff") or fields.flag("is_superuser"):
            person.notes.append("The rights of staff are left out.")
        # With natural keys, other tables refer to the user by the username.
        owners = (_key(record.members.get("pk", [])), _key([person.username]))
        rows = self._disk.execute("SELECT model, data FROM parts WHERE owner IN (?, ?)", owners)
        primary = fields.text("email")
        for model, data in rows:
            record = Record(json.loads(data))
            part = record.record("fields")
            if model == EMAIL:
                email = FoundEmail(part.text("email"), part.flag("verified"))
                person.emails.insert(0 if part.flag("primary") else len(person.emails), email)
            elif model == MEMBER:
                groups = [*groups, part.members.get("group_id")]
            elif model == SOCIAL:
                add_identity(person, part.text("provider"), part.text("uid"))
            elif model == FACTOR:
                _add_factor(person, part.text("type"), part.record("data"))
            elif part.flag("confirmed", default=True):
                self._add_device(person, model, record)
        person.groups = [self._groups[key] for key in map(_key, groups) if key in self._groups]
        if primary and primary not in {row.email for row in person.emails}:
            person.emails.append(FoundEmail(primary, False))
        return person

    def _add_device(self, person: FoundPerson, model: str, record: Record) -> None:
        """Add a device of django-otp, which is a TOTP device or has static tokens."""
        device = record.record("fields")
        if model == STATIC:
            owner = _key([STATIC, record.members.get("pk")])
            rows = self._disk.execute("SELECT data FROM parts WHERE owner = ?", [owner])
            tokens = (Record(json.loads(data)).record("fields") for (data,) in rows)
            person.recovery_codes += [token.text("token") for token in tokens]
        elif [device.number(name) for name in ("step", "t0", "digits")] == [30, 0, 6]:
            person.seeds[device.text("key").lower()] = {"name": device.text("name")}
        else:
            person.notes.append(
                "An authenticator app is left out: it is not TOTP with 6 digits, 30 s."
            )


# The types of primary keys, and of natural keys, which are lists.
_KEYS = (str, int, list)


def _key(value: Any) -> str:
    return json.dumps(value, default=str)


def _add_factor(person: FoundPerson, kind: str, data: Record) -> None:
    if kind == "totp":
        add_app(person, data.text("secret"))
    elif kind == "recovery_codes":
        person.recovery_codes += data.texts("migrated_codes") or _codes(data)
    else:
        person.notes.append(f"A second factor {kind!r} is left out.")


def _codes(data: Record) -> list[str]:
    """Return the unused recovery codes that allauth computes from a seed."""
    mac, used = hmac.new(data.text("seed").encode(), None, sha1), data.number("used_mask")
    codes = []
    for index in range(CODES):
        mac.update(f"{index:3},".encode())
        number = int.from_bytes(mac.digest()[: DIGITS // 2]) % 10**DIGITS
        if not used >> index & 1:
            codes.append(f"{number:0{DIGITS}}")
    return codes


def database_records(connection: BaseDatabaseWrapper) -> Records:
    """Yield the rows of all tables that :class:`Spool` reads, as records of a fixture.

    Raises:
        BadRow: no table has users.
    """
    names = connection.introspection.table_names()
    users = next((name for name in names if _columns_of(connection, name) >= USER), None)
    if users is None:
        raise BadRow("The database has no table of users.")
    tables = {**TABLES, "user": users, MEMBER: f"{users}_groups"}
    for model, table in tables.items():
        if table in names:
            for row in _table(connection, table):
                # The column that refers to the user is named after the user model.
                owner = row.get("user_id", row.get(f"{users.rpartition('_')[2]}_id"))
                yield Record({"model": model, "pk": row["id"], "fields": row | {"user": owner}})


def _columns_of(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, table)
    return {column.name for column in found}


def _table(connection: BaseDatabaseWrapper, table: str) -> Iterator[dict[str, Any]]:
    with connection.chunked_cursor() as cursor:
        name = connection.ops.quote_name(table)
        cursor.execute(f"SELECT * FROM {name} ORDER BY id")  # noqa: S608 a name from the catalog
        names = None
        while rows := cursor.fetchmany(FETCHED):
            names = names or [column[0] for column in cursor.description]
            yield from (dict(zip(names, row, strict=True)) for row in rows)
