"""Django's backend for PostgreSQL, with an end to every wait.

Timeouts that the server keeps are worth nothing while the server is frozen, or a firewall swallows
what is sent. So whoever waits gives up by itself, and a process that has waited in vain lets
others fail at once for a while: its threads would all be waiting otherwise.
"""

import select
from time import monotonic
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import IsolationLevel, OperationalError
from psycopg.pq import TransactionStatus

# Longer than the ``statement_timeout`` of ``authsite.settings.database``, which is the kinder end.
ANSWER_SECONDS = 6.0
REST_SECONDS = 2.0

# Until when the database is left alone, on the monotonic clock.
_resting = {"until": 0.0}


class Connection(psycopg.Connection[Any]):
    """One whose server answers in time, or isn't waited for any more."""

    @classmethod
    def connect(cls, *args: Any, **params: Any) -> "Connection":
        """As psycopg's, unless the last one has just waited in vain."""
        if monotonic() < _resting["until"]:
            raise OperationalError("the database has just not answered")
        try:
            return super().connect(*args, **params)
        except psycopg.errors.ConnectionTimeout:
            _rest()
            raise

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's, which everything that is asked of the server goes through."""
        try:
            return super().wait(gen, interval, timeout or ANSWER_SECONDS)
        except OperationalError:
            # Nothing that the server has said: it's still at it, and nobody waits for the answer.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
                _rest()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection a thread, kept from request to request."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One of ours."""
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def is_usable(self) -> bool:
        """Whether the server hasn't hung up, which can be read: nothing has to be asked."""
        pgconn = self.connection.pgconn
        if pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        return not poll.poll(0)


def _rest() -> None:
    _resting["until"] = monotonic() + REST_SECONDS
