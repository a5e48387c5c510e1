"""Django's backend for PostgreSQL with a time limit on every wait.

The client enforces the time limits. The server's own limits do not help while the server is frozen
or a firewall drops packets, and PgBouncer refuses them in the options of a connection. After the
time limit, the query is cancelled. If the server does not even react to this, new connections of
the process fail immediately for a short time, because otherwise all its threads would soon be
waiting.
"""

import select
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import psycopg
from django.db.backends.postgresql import base
from psycopg import IsolationLevel, OperationalError, errors
from psycopg.pq import TransactionStatus

from accounts.common import secrets

# A client gets its response within five seconds. The second limit is the time for the server to
# receive the cancellation of a query, and once more to report it.
RESPONSE_SECONDS = 4.0
CANCEL_SECONDS = 0.5
REST_SECONDS = 2.0
# A single message. If this process is paused during a transaction, the limit releases its locks.
BEGIN = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '15s'"

# After this number of executions on a connection, a statement is prepared and PostgreSQL keeps its
# plan.
PREPARED_AFTER = 5
# The errors of a prepared statement that cannot run: a migration has changed the type of a column,
# or a pooler has passed the statement to a server process that does not know it.
CANNOT_RUN = (
    errors.FeatureNotSupported,
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
)

# Until this time of the monotonic clock, no connection is opened.
_resting = {"until": 0.0}
# The host and port of the last connection, if there was one.
_last: dict[str, tuple[str, str]] = {}


class Connection(psycopg.Connection[Any]):
    """A connection that fails if its server does not respond in time."""

    host: tuple[str, str]

    @classmethod
    def connect(cls, *args: Any, **params: Any) -> "Connection":
        """Open a connection. If the parameters name several hosts, try the last used host first.

        Otherwise each connection would wait for a first host that is down.

        Raises:
            OperationalError: the server cannot be reached, or this process had a timeout within
                the last ``REST_SECONDS``.
        """
        if _is_resting():
            raise OperationalError("the database has just not answered")
        # Without a host, libpq connects to the socket.
        if "host" in params:
            hosts = [*zip(params["host"].split(","), params["port"].split(","), strict=True)]
            hosts.sort(key=lambda host: host != _last.get("host"))
            params["host"], params["port"] = (",".join(part) for part in zip(*hosts, strict=True))
        try:
            found = super().connect(*args, **params)
        except psycopg.errors.ConnectionTimeout:
            _rest()
            raise
        _last["host"] = found.host = found.info.host, str(found.info.port)
        # Each connection names its prepared statements differently. Otherwise a pooler could pass
        # one to a server process that knows another statement by the same name.
        found._prepared._prepared_idx = secrets.public_id().int
        return found

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server to respond to a query. Every query calls this method.

        Raises:
            OperationalError: the server has reported an error, or has not responded in time.
        """
        try:
            return super().wait(gen, interval, timeout or RESPONSE_SECONDS)
        except psycopg.errors.ReadOnlySqlTransaction:
            # After a failover, a new connection may find the server that accepts changes.
            self.pgconn.finish()
            raise
        except OperationalError:
            # The query timed out, and the server may still be working on it.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._cancel(gen, interval)
            # If a COMMIT that waits for a standby server is cancelled, it succeeds.
            raise

    def _cancel(self, gen: Any, interval: float) -> None:
        """Cancel the running query, or close the connection if the server does not respond."""
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=CANCEL_SECONDS)
            super().wait(gen, interval, CANCEL_SECONDS)
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            self.pgconn.finish()
            _rest()


class PreparedCursor(psycopg.Cursor[Any]):
    """A cursor for use outside of transactions, which prepares frequent statements."""

    def execute(self, *args: Any, **options: Any) -> "PreparedCursor":
        try:
            return super().execute(*args, **options)
        except CANNOT_RUN:
            # The statement has changed nothing. From now on, the connection prepares no statements.
            self.connection.prepare_threshold = None
            return super().execute(*args, **options)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's backend for PostgreSQL, which opens connections of the class :class:`Connection`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        connection = Connection.connect(**conn_params)
        connection.autocommit = True
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        # PgBouncer reports its own id, and may use another server process for each statement.
        if row == (connection.info.backend_pid,):
            connection.prepare_threshold = PREPARED_AFTER
        return connection

    def prepared_cursor(self) -> Any:
        """Return a :class:`PreparedCursor`; in a transaction or on a pooler, an ordinary cursor.

        In a transaction, a failed statement could not be repeated.
        """
        self.ensure_connection()
        if self.in_atomic_block or self.connection.prepare_threshold is None:
            return self.cursor()
        return cast(Any, self)._prepare_cursor(PreparedCursor(self.connection))

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction. Django calls this method."""
        with self.wrap_database_errors:
            self.connection.execute(BEGIN)

    def is_usable(self) -> bool:
        """Return whether the connection is still open, without sending a query.

        After a timeout, no connection of the process is used for ``REST_SECONDS``. Otherwise each
        thread would wait for a timeout of its own. After a failover, no connection to the former
        host is used, because a former primary server that comes back may not know that it was
        replaced.
        """
        if self.connection.host != _last["host"]:
            return False
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
