"""How moments are stored, and statements that run often: compiled once, run by the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import ClauseElement, Connection, DateTime, Dialect, Table, TypeDecorator, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

T = TypeVar("T")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored as UTC without its zone (SQLite knows no zones)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        del dialect
        return None if value is None else value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Add the zone."""
        del dialect
        return None if value is None else value.replace(tzinfo=timezone.utc)


class Prepared:
    """A statement compiled once: SQLAlchemy takes ten times as long to run one as SQLite itself."""

    def __init__(self, statement: ClauseElement) -> None:
        """Prepare a statement whose results need no conversion from the driver's types."""
        self._statement = statement
        self._compiled: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {}

    def run(self, connection: Connection | Session, *rows: Mapping[str, Any]) -> Any:
        """Run it with each row of values, and return the driver's cursor."""
        if isinstance(connection, Session):
            connection = connection.connection()
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        sql, bound = self._compiled[dialect.name]
        cursor = connection.connection.cursor()
        errors = dialect.loaded_dbapi.Error
        try:
            if len(rows) == 1:
                cursor.execute(sql, bound(rows[0]))
            else:
                cursor.executemany(sql, [bound(row) for row in rows])
        except errors as error:
            raise DBAPIError.instance(sql, None, error, errors, dialect=dialect) from error
        return cursor

    def _compile(self, dialect: Dialect) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
        """Return the SQL, and what turns a row of values into the driver's parameters."""
        compiled: Any = self._statement.compile(dialect=dialect)
        types = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
        converters = {name: kind.bind_processor(dialect) for name, kind in types.items()}
        converters = {name: convert for name, convert in converters.items() if convert}
        default, names = compiled.params, compiled.positiontup

        def bound(row: Mapping[str, Any]) -> Any:
            values = {**default, **row}
            for name, convert in converters.items():
                values[name] = convert(values[name])
            return [values[name] for name in names] if compiled.positional else values

        return str(compiled), bound


_OF_OTHERS = Prepared(text("PRAGMA data_version"))


def unchanged(connection: Connection, name: str, read: Callable[[], T]) -> T:
    """Return what ``read`` returned before, if nothing was committed since by any process.

    It is remembered with each of the pool's connections, which notice other connections' commits.
    """
    if connection.dialect.name != "sqlite":
        return read()
    driver: Any = connection.connection.driver_connection
    # Of other connections, and of its own.
    state = _OF_OTHERS.run(connection, {}).fetchone()[0], driver.total_changes
    before, value = connection.info.get(name, (None, None))
    if before != state:
        value = read()
        connection.info[name] = state, value
    return cast(T, value)


def add_up(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows of sums to those with the same key, or insert them where there are none."""
    if rows:
        _adding(table, connection.dialect.name).run(connection, *rows)


@lru_cache
def _adding(table: Table, dialect: str) -> Prepared:
    new: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](table)
    keys = table.primary_key.columns
    sums = {each.name: each + new.excluded[each.name] for each in table.c if each not in set(keys)}
    return Prepared(new.on_conflict_do_update(index_elements=[*keys], set_=sums))
