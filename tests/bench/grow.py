"""Run in a site's own shell: people, and programs that are signed in, as many as asked for.

``GROW`` is JSON: how many ``people`` there are to be with what ``password``, how many sign-ins of
programs (``families``), the tokens of how many of these (``known``) are wanted, and the file that
they are written ``to``. A few people are made as the site makes them, ``person0`` and so on; what
is more is copied from them, on PostgreSQL only. The known sign-ins lie among the others at even
distances, and those that follow each other are of people who don't.
"""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection, models

from accounts.kernel import secrets
from accounts.kernel.places import Place
from accounts.kernel.proofs import Method, Proof
from accounts.passwords.services import hash_password
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import refresh, scopes
from accounts.tokens.access import AccessToken
from accounts.users import services as users
from accounts.users.models import User

FEW = 16
# Prime, so that it leads from each person to all.
STRIDE = 7_919
PLACE = Place("198.51.100.7", "bench")


def copy(like: models.Model, changes: Iterator[dict[str, str]]) -> None:
    """As many rows as there are ``changes``, each with its own, and else as ``like`` is stored."""
    names = [field.column for field in like._meta.concrete_fields]
    table, columns = like._meta.db_table, ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        one = f"COPY (SELECT {columns} FROM {table} WHERE id = '{like.pk}') TO STDOUT"  # noqa: S608
        with cursor.copy(one) as out:
            row = dict(zip(names, b"".join(out).decode()[:-1].split("\t"), strict=True))
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as into:
            for change in changes:
                into.write("\t".join((row | change).values()) + "\n")
        cursor.execute(f"ANALYZE {table}")


def id_of(number: int) -> uuid.UUID:
    """The id of a person, by number, as scattered as a random one."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number))


def named(number: int) -> dict[str, str]:
    """What one person has for itself."""
    name = f"person{number}"
    return {"id": str(id_of(number)), "username": name, "username_key": name}


def make_few(password: str) -> User:
    """The first people, each with an address; the first of them."""
    password = hash_password(password)
    for number in range(FEW):
        user = users.create_user(f"person{number}", password, id=id_of(number))
        users.confirm_address(user, f"person{number}@example.org")
    return User.objects.get(pk=id_of(0))


def family(user: User) -> LoginSession:
    """A sign-in of a program, as the door makes it."""
    scope = scopes.written(scopes.DEFAULT)
    proofs = (Proof.now(Method.PASSWORD),)
    login = sessions.family(user, proofs, PLACE, kind=LoginSession.Kind.API, scope=scope)
    login.save(force_insert=True)
    return login


def sign_in(
    people: int, families: int, known: int, found: list[tuple[uuid.UUID, str]]
) -> Iterator[dict[str, str]]:
    """Sign-ins; the refresh tokens of those that are known go to ``found``."""
    every = families // known
    for number in range(families):
        family = secrets.public_id()
        row = {"id": str(family), "user_id": str(id_of(number * STRIDE % people))}
        if number % every == 0 and len(found) < known:
            token = refresh.first(family)
            row["refresh_digest"] = refresh.digest(token)
            found.append((family, token))
        yield row


def main(people: int, families: int, known: int, password: str, to: str) -> None:
    """Fill the tables, and tell of what is known."""
    first = make_few(password)
    found: list[tuple[uuid.UUID, str]] = []
    if families:
        copy(first, map(named, range(FEW, people)))
        copy(family(first), sign_in(people, families, known, found))
    logins = {login.pk: login for login in LoginSession.objects.filter(pk__in=dict(found))}
    told = [
        {
            "refresh": token,
            "access": str(AccessToken.issue(logins[pk], settings.AUTHSITE.origin, scopes.DEFAULT)),
        }
        for pk, token in found
    ]
    Path(to).write_text(json.dumps(told))


main(**json.loads(os.environ["GROW"]))
