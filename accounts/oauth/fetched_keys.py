"""The keys of apps that publish them at a URL, their ``jwks_uri`` (RFC 7591 section 2).

The request that brings an assertion fetches the keys if no stored key has signed the assertion, or
if the stored keys are no longer fresh. Anybody can send such a request. Therefore one UPDATE allows
one attempt in a minute for each app, on all nodes, and few requests of a process fetch at once.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import BoundedSemaphore

from accounts.common import clock
from accounts.common.deletion import delete_in_batches
from accounts.common.errors import Busy
from accounts.oauth import client_keys
from accounts.oauth.client_keys import Keys
from accounts.oauth.models import Client, FetchedKeys
from accounts.tokens.signatures import Parts

log = logging.getLogger(__name__)

# How long keys are used before they are fetched again, and how long while fetching fails.
FRESH, USABLE = timedelta(minutes=10), timedelta(days=1)
# The least time between two attempts to fetch the keys of an app.
PAUSE = timedelta(minutes=1)
# How long a request waits for the server of an app.
PATIENCE = timedelta(seconds=3)
# How many requests of a process may wait for the servers of apps. This is a quarter of the requests
# that run at once (``authsite.serving.capacity``), so the others run even if these servers hang.
MOST_AT_ONCE = 4
# In bytes. Certificates (``x5c``) make sets long.
LONGEST_ANSWER = 100_000

_slots = BoundedSemaphore(MOST_AT_ONCE)
_threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="keys of apps")


def has_signed(client: Client, jwt: Parts) -> bool:
    """Return whether one of the keys that ``client`` publishes has signed ``jwt``.

    Do not call this in a transaction.

    Raises:
        Busy: another request is fetching the keys, or too many requests fetch keys.
        LookupError, TypeError, AttributeError: the header of ``jwt`` is malformed.
    """
    held = _held(client)
    is_usable = _is_recent(held.fetched_at, USABLE)
    is_signed = is_usable and client_keys.is_signed_by(held.jwks, jwt)
    if is_signed and _is_recent(held.fetched_at, FRESH):
        return True
    try:
        newer = _renew(held)
    except Busy:
        if not is_signed:
            raise
        newer = None
    return is_signed if newer is None else client_keys.is_signed_by(newer, jwt)


def prune() -> int:
    """Delete keys that are no longer usable; return how many sets were deleted."""
    return delete_in_batches(FetchedKeys.objects.filter(tried_at__lte=clock.now() - USABLE))


def _held(client: Client) -> FetchedKeys:
    """Return the stored keys of ``client``, which are none if its URI is new."""
    rows = FetchedKeys.objects.filter(client=client, uri=client.jwks_uri)
    held = rows.first()
    if held is None:
        new = FetchedKeys(client=client, uri=client.jwks_uri)
        FetchedKeys.objects.bulk_create([new], ignore_conflicts=True)
        held = rows.first() or new
    held.client = client
    return held


def _renew(held: FetchedKeys) -> Keys | None:
    """Fetch and store the keys; return None if that fails, or was tried less than a minute ago.

    Raises:
        Busy: see :func:`has_signed`.
    """
    if _is_recent(held.tried_at, PAUSE):
        # An attempt that has just failed looks as if it were under way.
        if held.tried_at > held.fetched_at and _is_recent(held.tried_at, PATIENCE):
            raise Busy(1)
        return None
    if not _slots.acquire(blocking=False):
        raise Busy(1)
    future = None
    try:
        if not _claim(held):
            raise Busy(1)
        uri, takes_private = held.uri, held.client.jwks_uri_is_private
        future = _threads.submit(_get, uri, takes_private=takes_private)
    finally:
        if future is None:
            _slots.release()
    # Not when the request stops to wait: a thread that waits for a name server goes on. The next
    # request would queue behind it, and fail.
    future.add_done_callback(lambda _future: _slots.release())
    found = _result(held.client, future)
    if found:
        FetchedKeys.objects.filter(pk=held.pk).update(jwks=found, fetched_at=clock.now())
    return found


def _claim(held: FetchedKeys) -> bool:
    """Return whether this request may fetch the keys; no other one may then, for a minute."""
    now = clock.now()
    rows = FetchedKeys.objects.filter(pk=held.pk)
    # The other request may have read its clock later, or on a node whose clock is ahead.
    recent = {"tried_at__gt": now - PAUSE, "tried_at__lt": now + PAUSE}
    return bool(rows.exclude(**recent).update(tried_at=now))


def _result(client: Client, future: "Future[Keys]") -> Keys | None:
    """Return the keys that ``client`` publishes; log why and return None if fetching them fails.

    ``future``: fetches them in a thread. Nothing else ends the wait for a slow name server.
    """
    try:
        return future.result(PATIENCE.total_seconds())
    except Exception as error:  # whatever a server answers
        future.cancel()
        log.warning("The keys of app %s were not fetched: %r", client.pk, type(error).__name__)
        return None


def _get(uri: str, *, takes_private: bool) -> Keys:
    from accounts.common import http_client  # noqa: PLC0415 its library takes 10 MB

    seconds = PATIENCE.total_seconds()
    with http_client.limited(seconds, LONGEST_ANSWER, takes_private=takes_private) as session:
        answer = session.get(uri, headers={"Accept": "application/jwk-set+json, application/json"})
    answer.raise_for_status()
    return client_keys.usable(answer.json())


def _is_recent(then: datetime, age: timedelta) -> bool:
    # Another node, whose clock is a little ahead, may have written ``then``.
    return abs(clock.now() - then) < age
