"""Copies of a SQLite database, made while others write to it, and checked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from moodflix.errors import DatabaseBusyError, DatabaseUnavailableError
from moodflix.store.database import Database, translated

# What a database file begins with; beside any other, SQLite deletes the journal.
_HEADER = b"SQLite format 3\0"
# Copied at a time; 1 MiB.
_PAGES = 256


def copy(database: Database, target: Path, progress: Callable[[float], object]) -> None:
    """Copy a database to a new file and check it; ``progress`` gets the share that is copied.

    Raises:
        DatabaseUnavailableError: it can't be read, is damaged, or the copy can't be written.
    """
    if not database.exists():
        raise DatabaseUnavailableError("there is no database yet")
    with database.read() as session:
        source: Any = session.connection().connection.driver_connection
        # From here on it reads one state: else each write would start the copy again.
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(target)) as copied, translated():
            source.backup(
                copied,
                pages=_PAGES,
                progress=lambda _, left, total: progress(1 - left / max(total, 1)),
            )
            _require_intact(copied)


def require_intact(path: Path) -> None:
    """Check a whole database file that nobody else has open.

    Raises:
        DatabaseUnavailableError: it is damaged.
    """
    with translated(), closing(sqlite3.connect(path)) as connection:
        _require_intact(connection)


def _require_intact(connection: sqlite3.Connection) -> None:
    [(found,)] = connection.execute("PRAGMA integrity_check(1)")
    if found != "ok":
        raise DatabaseUnavailableError("the database file is damaged")


def close_journal(path: Path) -> None:
    """Move what the journal of a database holds into its file, and remove the journal.

    What can't be read stays as it is, with its journal.

    Raises:
        DatabaseBusyError: something has the database open.
    """
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            return
    try:
        with translated(), closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except DatabaseBusyError:
        raise DatabaseBusyError("something has the database open; close it first") from None
    except DatabaseUnavailableError:
        pass
