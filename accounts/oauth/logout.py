"""Tells apps that their sessions have ended (OpenID Connect Back-Channel Logout 1.0).

A notice is a row, written in the transaction that ends the session. Sender threads lease the rows
that are due, and send each notice at least once: twice if a process is killed, or loses its lease,
between sending a notice and deleting its row. Apps see no difference, because a session ends once.

``accounts.common.leases`` runs it.

A notice sends a logout token. The header of the token has the type ``logout+jwt``, so that nobody
accepts it as an ID token or an access token (section 2.4).
"""

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Count, DateTimeField, QuerySet, UUIDField, Value
from django.db.models.functions import Coalesce

from accounts.common import clock, metrics, secrets
from accounts.common.database import delete_in_batches
from accounts.common.leases import LeasedQueue, Sender, Work
from accounts.oauth import id_tokens
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client
from accounts.oauth.models import LogoutNotice
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring, signatures

TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(minutes=2)


def issue(session_id: uuid.UUID, subject: uuid.UUID, client: Client) -> str:
    """Return a logout token for the app ``client`` about its session ``session_id``.

    ``subject``: the :attr:`LoginSession.subject` of that session.

    Each token has a new ``jti``. An app may refuse a second token with the same ``jti`` as a
    replay, although it has not acted on the first one.
    """
    now = clock.now()
    claims = {
        "iss": settings.AUTHSITE.origin,
        "aud": client.pk,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": secrets.token(),
        "sub": str(subject),
        "sid": str(session_id),
        "events": {EVENT: {}},
    }
    return signatures.sign(claims, TYPE, keyring.signer(id_tokens.algorithm(client)))


log = logging.getLogger(__name__)

# The maximum time in seconds for one notice, including the name lookup.
SECONDS = 3.0
# The pause before the first attempt, so that the request that ends the session is answered first,
# and several notices to an app are sent together.
REST = timedelta(milliseconds=500)
NOTICES = LeasedQueue(
    LogoutNotice,
    # The lease is longer than a batch of the sender takes, unless a name server hangs.
    lease=timedelta(minutes=1),
    first_wait=timedelta(seconds=5),
    longest_wait=timedelta(hours=1),
    life=timedelta(days=1),
)
# In bytes. The body of the response is ignored.
LONGEST_RESPONSE = 10_000
# Section 2.8: apps must answer 200, but some frameworks answer 204 instead.
DONE = {200, 204}


def post(rows: QuerySet[LoginSession]) -> None:
    """Write a notice for each of the sessions ``rows`` whose app has a back-channel logout URI.

    An app that stayed connected after the user signed out got its notice at that time.

    Call this in the transaction that ends the sessions.
    """
    now, due = (Value(at, DateTimeField()) for at in (clock.now(), clock.now() + REST))
    told = rows.filter(app_session__isnull=False, signed_out_at=None)
    told = told.exclude(app_session__client__backchannel_logout_uri="").order_by()
    subject = Coalesce("pairwise_subject", "user_id", output_field=UUIDField())
    values = told.values_list("pk", "app_session__client", subject, now, due, Value(0))
    text, parameters = values.query.sql_with_params()
    columns = "session_id, client_id, subject, created_at, due_at, attempts"
    table = LogoutNotice._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) {text} ON CONFLICT DO NOTHING",
            parameters,
        )


def is_needed() -> bool:
    """Return whether an app has a back-channel logout URI, or a notice is waiting."""
    told = Client.objects.exclude(backchannel_logout_uri="")
    return told.exists() or LogoutNotice.objects.exists()


def give_up() -> int:
    """Delete the notices that are older than a day; return how many were deleted."""
    old = LogoutNotice.objects.filter(created_at__lte=clock.now() - NOTICES.life)
    for app, count in old.order_by().values_list("client").annotate(Count("pk")):
        log.error("App %s was not told that sessions ended: %d", app, count)
    return delete_in_batches(old)


def _tokens(notices: list[LogoutNotice]) -> list[str]:
    id_tokens.be_ready(notices[0].client)
    return [issue(each.session_id, each.subject, each.client) for each in notices]


def _send(client: Client, token: str) -> str:
    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    # Staff may have removed the URI meanwhile, or the operator may have removed the host, which
    # somebody else may control now.
    if not client.backchannel_logout_uri or uris.is_withdrawn(client.pk):
        return ""
    try:
        with http_client.limited(
            SECONDS, LONGEST_RESPONSE, takes_private=client.backchannel_logout_is_private
        ) as session:
            answer = session.post(client.backchannel_logout_uri, {"logout_token": token})
    except Exception as error:  # whatever a server answers, the other notices must be sent
        return type(error).__name__
    return "" if answer.status_code in DONE else f"status {answer.status_code}"


def sender(is_stopping: Callable[[], bool] = bool) -> Sender[LogoutNotice]:
    """Return the sender of notices. ``is_stopping``: returns whether to send no more notices."""
    return Sender(NOTICES, "client", _tokens, _send, is_stopping)


WORK = Work("logout notices", sender, is_needed, give_up, NOTICES, metrics.LOGOUT_NOTICES)
