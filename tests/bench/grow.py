"""Create people and API sessions; this runs in the shell of a site.

The environment variable `GROW` is JSON: the number of `people` and of API sessions (`families`),
the `password`, and the number of sessions (`known`) whose tokens are written `to` a file, together
with an API key and an access token of the first person. If the app `hears`, it has a back-channel
logout URI.

The first `few` people, `person0` and so on, are made as the site makes them. The others are copies
of the first, on PostgreSQL only. The known sessions are spread evenly among the others.
"""

import hashlib
import json
import os
import uuid
from pathlib import Path

from django.conf import settings

from accounts.activity.services import Actor
from accounts.apikeys import services as apikeys
from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.oauth import app_sessions, forward
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.models import Client
from accounts.oauth.clients.uris import forward_callback
from accounts.passwords.services import hash_password
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.sessions.store import SessionStore
from accounts.tokens import families as refresh
from accounts.tokens import scopes
from accounts.tokens.access import AccessToken
from accounts.users import services as users
from accounts.users.models import User
from tests.bench.loads import STRIDE
from tests.bench.servers import PEOPLE, REDIRECT_URI, WIKI
from tests.support.copies import copy
from tests.support.second_factor import enrolled

CLIENT = ClientInfo("198.51.100.7", "bench")
BROWSER = ClientInfo("", "curl/8.14")


def id_of(kind: str, number: int) -> uuid.UUID:
    """Return the id of a person or a session: computed from its number, but well scattered.

    Its version is 4, as that of other ids. The version of an id in a token has a meaning.
    """
    digest = hashlib.md5(f"{kind}{number}".encode()).hexdigest()  # noqa: S324 no secret
    return uuid.UUID(f"{digest[:12]}4{digest[13:16]}8{digest[17:]}")


def id_by(text: str) -> str:
    """Return the SQL expression for :func:`id_of`, where ``text`` is that for kind and number."""
    return f"overlay(overlay(md5({text}) placing '4' from 13) placing '8' from 17)::uuid"


def make_few(few: int, password: str) -> User:
    """Create the first people, each with an email, and return the first of them."""
    password = hash_password(password)
    for number in range(few):
        user = users.create_user(f"person{number}", password, id=id_of("person", number))
        users.confirm_email(user, f"person{number}@example.org")
    return User.objects.get(pk=id_of("person", 0))


def new_session(user: User) -> LoginSession:
    scope, proofs = scopes.written(scopes.DEFAULT), (Proof.now(Method.PASSWORD),)
    kind = LoginSession.Kind.API
    session = sessions.new_api_session(user, proofs, CLIENT, kind=kind, scope=scope)
    session.save(force_insert=True)
    return session


def copy_people_and_sessions(session: LoginSession, few: int, people: int, families: int) -> None:
    """Copy an API session and its user."""
    name = "'person' || n"
    first = session.user
    copy(first, few, people - 1, id=id_by(name), username=name, username_key=name)
    person = id_by(f"'person' || n * {STRIDE} %% {people}")
    copy(session, 0, families - 1, id=id_by("'family' || n"), user_id=person)


def access_token(session: LoginSession) -> str:
    return str(AccessToken.issue(session, settings.AUTHSITE.origin, scopes.DEFAULT))


def tokens_of(number: int) -> dict[str, str]:
    session = LoginSession.objects.get(pk=id_of("family", number))
    token = refresh.first_token(session.pk)
    LoginSession.objects.filter(pk=session.pk).update(refresh_digest=secrets.plain_digest(token))
    return {"refresh": token, "access": access_token(session)}


def new_client(backchannel_logout_uri: str) -> str:
    """Return the id and the secret of a new app, with a colon between them."""
    client = Client(
        name="bench",
        redirect_uris=[REDIRECT_URI],
        is_first_party=True,
        scope="openid email offline_access",
        backchannel_logout_uri=backchannel_logout_uri,
    )
    return f"{client.pk}:{clients.create(client, Actor())}"


def tokens_of_app(session: LoginSession, client_id: str) -> list[str]:
    """Return a refresh token of the app for each of some sessions of the user of ``session``."""
    tokens = []
    for _number in range(PEOPLE):
        new = app_sessions.new(
            session, client_id, "openid offline_access", settings.AUTHSITE.origin, is_offline=True
        )
        app_sessions.insert(new)
        tokens.append(new.refresh_token)
    return tokens


def cookies_of_wiki() -> list[str]:
    """Return the cookie of an app behind a proxy for each of some people."""
    fields = {"is_public": True, "is_first_party": True, "scope": "openid profile email groups"}
    clients.create(
        Client(pk=WIKI, name="wiki", redirect_uris=[forward_callback(WIKI)], **fields), Actor()
    )
    cookies = []
    for number in range(PEOPLE):
        user = User.objects.get(pk=id_of("person", number))
        proofs = (Proof.now(Method.PASSWORD),)
        browser = sessions.create(user, proofs, BROWSER, is_remembered=True)
        new = app_sessions.new(browser, WIKI, "openid", settings.AUTHSITE.origin, is_offline=False)
        app_sessions.insert(new)
        cookies.append(f"{forward.COOKIE}={forward.cookie_for(new.session.pk)}")
    return cookies


def staff_page() -> list[str]:
    """Return the page of staff about a person, and the cookie of a member of staff."""
    staff = users.create_user("desk", "!")
    staff.is_staff = staff.is_superuser = True
    staff.save()
    users.confirm_email(staff, "desk@example.org")
    enrolled(staff)
    proofs = (Proof.now(Method.PASSWORD), Proof.now(Method.TOTP))
    session = sessions.create(staff, proofs, BROWSER, is_remembered=True)
    # Otherwise the factor, which is new, would not count.
    session.stepped_up_at = clock.now()
    session.save()
    browser = SessionStore()
    browser.create()
    browser.login_session = session
    browser.save()
    path = f"/admin/accounts/user/{id_of('person', 0)}/change/"
    return [path, f"{settings.SESSION_COOKIE_NAME}={browser.session_key}"]


def main(
    *, few: int, people: int, families: int, known: int, hears: bool, password: str, to: str
) -> None:
    first = make_few(few, password)
    session = new_session(first)
    if families:
        copy_people_and_sessions(session, few, people, families)
    _, key = apikeys.make(first, "bench", frozenset({scopes.READ}), None, Actor())
    told = [tokens_of(number * (families // known)) for number in range(known)]
    client = new_client(f"{REDIRECT_URI}logout" if hears else "")
    answer = {"known": told, "key": key, "access": access_token(session), "client": client}
    answer["of_wiki"] = cookies_of_wiki()
    answer["of_staff"] = staff_page()
    answer["of_app"] = tokens_of_app(session, client.partition(":")[0])
    Path(to).write_text(json.dumps(answer))


main(**json.loads(os.environ["GROW"]))
