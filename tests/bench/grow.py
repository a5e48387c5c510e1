"""Create people and API sessions; this runs in the shell of a site.

The environment variable `GROW` is JSON: the number of `people`, their `password`, the number of API
sessions (`families`), and the number of sessions (`known`) whose tokens are written `to` a file.
The first people, `person0` and so on, are made as the site makes them. The others are copies of
the first, on PostgreSQL only. The known sessions are spread evenly among the others.
"""

import hashlib
import json
import os
import uuid
from pathlib import Path

from django.conf import settings
from django.db import connection, models

from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.passwords.services import hash_password
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import refresh, scopes
from accounts.tokens.access import AccessToken
from accounts.users import services as users
from accounts.users.models import User

FEW = 16
# A prime, so that neighbouring sessions belong to distant people and every person gets some.
STRIDE = 7_919
PLACE = ClientInfo("198.51.100.7", "bench")


def id_of(kind: str, number: int) -> uuid.UUID:
    """Return the id of a person or a session: computed from its number, but well scattered."""
    return uuid.UUID(hashlib.md5(f"{kind}{number}".encode()).hexdigest())  # noqa: S324 no secret


def copy(like: models.Model, first: int, last: int, **changes: str) -> None:
    """Insert copies of a stored row; `changes` are SQL for columns that depend on a number `n`."""
    names = [field.column for field in like._meta.concrete_fields]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changes.get(str(name), f'"{name}"') for name in names)
    table = like._meta.db_table
    source = f"{table}, generate_series(%s::bigint, %s::bigint) AS n WHERE id = %s"
    with connection.cursor() as cursor:
        insert = f"INSERT INTO {table} ({columns}) SELECT {values} FROM {source}"
        cursor.execute(insert, [first, last, like.pk])
        cursor.execute(f"ANALYZE {table}")


def make_few(password: str) -> User:
    """Create the first people, each with an email, and return the first of them."""
    password = hash_password(password)
    for number in range(FEW):
        user = users.create_user(f"person{number}", password, id=id_of("person", number))
        users.confirm_email(user, f"person{number}@example.org")
    return User.objects.get(pk=id_of("person", 0))


def copy_people_and_sessions(first: User, people: int, families: int) -> None:
    """Create one API session as the site does, and copy it and the first person."""
    scope, proofs = scopes.written(scopes.DEFAULT), (Proof.now(Method.PASSWORD),)
    kind = LoginSession.Kind.API
    session = sessions.new_api_session(first, proofs, PLACE, kind=kind, scope=scope)
    session.save(force_insert=True)
    name = "'person' || n"
    copy(first, FEW, people - 1, id=f"md5({name})::uuid", username=name, username_key=name)
    person = f"md5('person' || n * {STRIDE} %% {people})::uuid"
    copy(session, 0, families - 1, id="md5('family' || n)::uuid", user_id=person)


def tokens_of(number: int) -> dict[str, str]:
    session = LoginSession.objects.get(pk=id_of("family", number))
    token = refresh.first(session.pk)
    LoginSession.objects.filter(pk=session.pk).update(refresh_digest=refresh.digest(token))
    access = AccessToken.issue(session, settings.AUTHSITE.origin, scopes.DEFAULT)
    return {"refresh": token, "access": str(access)}


def main(people: int, families: int, known: int, password: str, to: str) -> None:
    first = make_few(password)
    if families:
        copy_people_and_sessions(first, people, families)
    told = [tokens_of(number * (families // known)) for number in range(known)]
    Path(to).write_text(json.dumps(told))


main(**json.loads(os.environ["GROW"]))
