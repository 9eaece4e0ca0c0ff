"""Engine, pragmas and sessions."""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    text,
)
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.schema import CreateTable, DropTable

from moodflix import clock, instance
from moodflix.config import Settings, variable
from moodflix.errors import ConfigError, DatabaseBusyError, DatabaseUnavailableError
from moodflix.store.watched_file import WatchedFile
from moodflix.store.writer import Work, Writer

logger = logging.getLogger(__name__)
# How long a command waits for the write lock; an import holds it for a minute.
BUSY_SECONDS = 120
# How long a request that saves something waits, for the lock and for deferred writes before it.
COMMIT_SECONDS = 15.0
_BATCH = 2_000
# An arbitrary number; no other advisory lock in the database may use it.
_PG_WRITE_LOCK = text("SELECT pg_advisory_xact_lock(6841)")

# Part of SQLite's message, as its error codes reach Python only from 3.11 on, and the reason.
_REASONS = (
    ("readonly", "the database is read-only"),
    ("unable to open", "the database can't be opened: its folder is missing or not writable"),
    ("is full", "the disk is full"),
    ("disk i/o", "the disk can't be read or written"),
    ("malformed", "the database file is damaged"),
    ("not a database", "the database file is damaged"),
    ("no such table", "the database is not migrated; run: flask db upgrade"),
    ("no such column", "the database is not migrated; run: flask db upgrade"),
)


class Database:
    """Hands out sessions. Connections open at first use, never before a fork.

    Only one session writes at a time, in all processes: so ids become visible in their order.
    """

    def __init__(
        self, url: str, pool_size: int = 20, zone: tzinfo | None = None, *, durable: bool = True
    ) -> None:
        """Prepare an engine for ``url`` that opens at most ``pool_size`` connections.

        Sums are kept by the clock of ``zone``, or the system's. Unless ``durable``, a power cut
        may lose what is written.

        Raises:
            ConfigError: the URL can't be understood or its driver isn't installed.
        """
        try:
            parsed = make_url(url)
            is_sqlite = parsed.get_backend_name() == "sqlite"
            self.engine = create_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=COMMIT_SECONDS,
                connect_args={"timeout": BUSY_SECONDS} if is_sqlite else {},
                execution_options={"zone": zone, "zone_name": clock.name(zone)},
            )
        except (ArgumentError, ImportError, TypeError):
            # The URL may hold a password, so it isn't shown.
            raise ConfigError(
                f"{variable('database_url')} is not a database URL that can be used here; "
                "it takes for example sqlite:////var/lib/moodflix/moodflix.sqlite3"
            ) from None
        #: The file of an SQLite database.
        self.path = Path(parsed.database) if is_sqlite and parsed.database else None
        self._file = WatchedFile(self.path)
        if is_sqlite:
            _tune_sqlite(self.engine, self._file, durable=durable)
        # Between the threads of this process: SQLite would only poll for its lock.
        self._writing = threading.Lock()
        self._emptying = threading.Lock()
        self.zone = zone
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._single = self.engine.execution_options(sqlite_begin=None)
        self.writer = Writer(self._commit)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading; what it does is rolled back at the end.

        Raises:
            DatabaseUnavailableError: the database can't be read; the text says why.
        """
        self.require_same_file()
        with translated(), self._readers() as session:
            session.connection()
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a connection for single queries, which need neither transaction nor session.

        Raises:
            DatabaseUnavailableError: the database can't be read; the text says why.
        """
        self.require_same_file()
        with translated(), self._single.connect() as connection:
            yield connection

    @contextmanager
    def write(self, seconds: float = BUSY_SECONDS) -> Iterator[Session]:
        """Open a session that holds the write lock, and commit it at the end.

        Raises:
            DatabaseBusyError: the lock was held elsewhere for that many seconds.
            DatabaseUnavailableError: the database can't be written; the text says why.
        """
        with self._locked(seconds) as connection, Session(connection) as session:
            yield session
            session.flush()

    @contextmanager
    def _locked(self, seconds: float) -> Iterator[Connection]:
        end = time.monotonic() + seconds
        if not self._writing.acquire(timeout=max(seconds, 0)):
            raise DatabaseBusyError
        try:
            self.require_same_file()
            with translated(), self.engine.connect() as connection:
                wait = int(max(end - time.monotonic(), 0) * 1000)
                connection.execution_options(sqlite_begin="IMMEDIATE", busy_ms=wait)
                with connection.begin():
                    if connection.dialect.name == "postgresql":
                        connection.execute(_PG_WRITE_LOCK)
                    yield connection
            # Nothing is confirmed that went into a file that was moved away meanwhile.
            self.require_same_file()
        finally:
            self._writing.release()

    def commit(self, work: Work, seconds: float | None = None) -> None:
        """Run ``work`` with a connection for writing and commit it, after earlier writes.

        It may be run more than once, and shares its transaction with what others commit.

        Raises:
            DatabaseBusyError: it took more than that many seconds, ``COMMIT_SECONDS`` by default.
            DatabaseUnavailableError: the database can't be written; the text says why.
        """
        self.writer.commit(work, COMMIT_SECONDS if seconds is None else seconds)

    def _commit(self, works: Sequence[Work], seconds: float) -> None:
        """Commit ``works`` in one transaction, once more if its connection was at fault.

        A connection opened while the file was read-only stays so and fails only at a write.
        """
        for is_last in (False, True):
            try:
                with self._locked(seconds) as connection:
                    for work in works:
                        work(connection)
            except DatabaseUnavailableError as error:
                if is_last or not getattr(error.__cause__, "connection_invalidated", False):
                    raise
            else:
                return

    def close(self) -> None:
        """Commit deferred writes, as far as possible in ``COMMIT_SECONDS``, and disconnect."""
        try:
            self.writer.flush(COMMIT_SECONDS)
        except DatabaseBusyError as error:
            logger.warning("%d answers are not stored: %s", len(self.writer), error)
        with suppress(DatabaseUnavailableError):
            self.require_same_file()
        self.engine.dispose()

    def require_same_file(self) -> None:
        """Check that a SQLite file is still the one that was opened first, if any was.

        Raises:
            DatabaseUnavailableError: it is gone or another; the text says what to do.
        """
        try:
            self._file.require_same()
        except DatabaseUnavailableError:
            self._empty_journal()
            raise

    def _empty_journal(self) -> None:
        """Move what the journal holds to the file that was moved away.

        SQLite would apply it to the file in its place, and destroy that.
        """
        if self._emptying.acquire(blocking=False):
            try:
                # Connections in the pool are open on the old file; new ones are refused.
                with self._single.connect() as connection:
                    connection.exec_driver_sql("PRAGMA busy_timeout = 1000")
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            except (SQLAlchemyError, DatabaseUnavailableError) as error:
                logger.warning("the journal of the old database file is not emptied: %s", error)
            finally:
                self._emptying.release()

    def exists(self) -> bool:
        """Whether there is a file to open; SQLite would make an empty one."""
        return self.path is None or self.path.exists()

    def is_prepared(self) -> bool:
        """Whether there is a database that ``prepare_file`` need not touch."""
        if self.engine.dialect.name != "sqlite" or not self.exists():
            return self.exists()
        with translated(), self.engine.connect() as connection:
            return bool(connection.scalar(text("PRAGMA journal_mode")) == "wal")

    def prepare_file(self) -> None:
        """Make the folder of a SQLite file, and the file one with write-ahead logging.

        Raises:
            DatabaseUnavailableError: the folder or the file can't be written.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnavailableError("the folder of the database can't be made") from error
        self._keep_journal("WAL")

    def close_as_single_file(self) -> None:
        """Close a SQLite file that needs no journal files beside it, so that it can be moved.

        Raises:
            DatabaseUnavailableError: it can't be written, or is in use elsewhere.
        """
        self._keep_journal("DELETE")
        self.engine.dispose()

    def _keep_journal(self, mode: str) -> None:
        with translated(), self.engine.connect() as connection:
            # The journal mode changes only outside a transaction.
            connection.execution_options(sqlite_begin=None)
            connection.execute(text(f"PRAGMA journal_mode = {mode}"))


@contextmanager
def staged(
    session: Session, table: Table, items: Iterable[Sequence[dict[str, Any]]]
) -> Iterator[int]:
    """Insert items, some rows each, into a temporary table; yields the number of items.

    They are read in batches, so memory stays bounded.
    """
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        # A larger cache: many rows touch the indexes in random order.
        connection.exec_driver_sql("PRAGMA cache_size = -8000")
    connection.execute(CreateTable(table))
    count = 0
    pending = iter(items)
    while batch := list(itertools.islice(pending, _BATCH)):
        connection.execute(insert(table), [row for item in batch for row in item])
        count += len(batch)
    yield count
    connection.execute(DropTable(table))


def zone_of(connection: Connection) -> tzinfo | None:
    """Return the station's time zone, ``None`` for the system's."""
    zone: tzinfo | None = connection.get_execution_options()["zone"]
    return zone


@contextmanager
def translated() -> Iterator[None]:
    """Turn a driver's error into one whose text may be shown to people.

    Raises:
        DatabaseUnavailableError: in place of any database error but a broken constraint.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (DatabaseError, sqlite3.DatabaseError) as error:
        message = str(getattr(error, "orig", error)).casefold()
        if "is locked" in message:
            raise DatabaseBusyError from error
        reasons = (reason for part, reason in _REASONS if part in message)
        raise DatabaseUnavailableError(next(reasons, "the database failed")) from error
    except PoolTimeoutError as error:
        raise DatabaseBusyError("every connection to the database is in use") from error


def _tune_sqlite(engine: Engine, file: WatchedFile, *, durable: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        try:
            file.note_opened()
            # Transactions begin in on_begin: sqlite3 would begin too late for a consistent read.
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys = ON")
            # FULL: a commit is on the disk before it returns, so a log survives a power cut.
            # This reads the file, so it opens the journal beside it.
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            file.require_same()
        except BaseException:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once: upgrading a read to a write could fail.
        options = connection.get_execution_options()
        mode = options.get("sqlite_begin", "DEFERRED")
        if "busy_ms" in options:
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA busy_timeout = {options['busy_ms']}")
        if mode:
            connection.exec_driver_sql(f"BEGIN {mode}")

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        # Connections opened while the file was read-only stay so until all of them are closed, as
        # they share SQLite's wal-index.
        message = str(context.original_exception).casefold()
        if any(part in message for part in ("readonly", "unable to open", "disk i/o")):
            context.is_disconnect = True
            cursor = getattr(context.execution_context, "cursor", None)
            if cursor is not None:
                cursor.close()  # an open statement would keep the connection open
            engine.dispose()


def init_app(app: Flask, settings: Settings) -> Database:
    """Give the app its database."""
    url = settings.database_url or f"sqlite:///{instance.of(app).database}"
    database = Database(url, settings.threads + 4, settings.zone)
    app.extensions["moodflix.db"] = database
    return database


def current_database() -> Database:
    """Return the database of the current app."""
    database: Database = current_app.extensions["moodflix.db"]
    return database
