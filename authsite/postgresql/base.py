"""Django's backend for PostgreSQL with a time limit on every wait.

Timeouts on the database server do not help while that server is frozen or a firewall drops packets.
Each query therefore has a time limit in the client as well. After a timeout, new connections of the
process fail immediately for a short time, because otherwise all its threads would soon be waiting.
"""

import select
from time import monotonic
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import IsolationLevel, OperationalError
from psycopg.pq import TransactionStatus

# Longer than the ``statement_timeout`` in ``authsite.settings.storage``, which does not break the
# connection. A client gets its answer within five seconds.
RESPONSE_SECONDS = 4.5
REST_SECONDS = 2.0

# No connection is opened before this time of the monotonic clock.
_resting = {"until": 0.0}


class Connection(psycopg.Connection[Any]):
    """A connection that fails if its server does not answer in time."""

    @classmethod
    def connect(cls, *args: Any, **params: Any) -> "Connection":
        """Open a connection.

        Raises:
            OperationalError: the server cannot be reached, or this process had a timeout within
                the last ``REST_SECONDS``.
        """
        if _is_resting():
            raise OperationalError("the database has just not answered")
        try:
            return super().connect(*args, **params)
        except psycopg.errors.ConnectionTimeout:
            _rest()
            raise

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server to answer a query. Every query calls this method.

        Raises:
            OperationalError: the server has reported an error, or has not answered in time.
        """
        try:
            return super().wait(gen, interval, timeout or RESPONSE_SECONDS)
        except OperationalError:
            # The query timed out, and the server may still be working on it.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
                _rest()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's backend for PostgreSQL, which opens connections of the class :class:`Connection`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def is_usable(self) -> bool:
        """Return whether the connection is still open, without sending a query.

        After a timeout, no connection of the process is used for ``REST_SECONDS``. Otherwise each
        thread would wait for a timeout of its own.
        """
        pgconn = self.connection.pgconn
        if _is_resting() or pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        return not poll.poll(0)


def _is_resting() -> bool:
    return monotonic() < _resting["until"]


def _rest() -> None:
    _resting["until"] = monotonic() + REST_SECONDS
