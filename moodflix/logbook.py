"""All SQL about logs: add, recent, stream, count, merge."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable, DropTable

from moodflix import titles
from moodflix.models import LogEntry, UtcDateTime
from moodflix.schemas import CONTEXT, FIELDS, LogRow

_COLUMNS = tuple(getattr(LogEntry, field) for field in FIELDS)
_BATCH = 2_000
# Shorter numbers are years or day counts, not epoch seconds.
_SHORT_NUMBER = re.compile(r"[+-]?\d{0,8}(\.\d*)?", re.ASCII)
_MOMENT = TypeAdapter(datetime)

_INCOMING = Table(
    "incoming_logs",
    MetaData(),
    Column("place", Integer, primary_key=True),
    *(Column(field, String, nullable=False) for field in FIELDS),
    Column("event_at", UtcDateTime, nullable=False),
    Column("film_key", String, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Merged:
    """How many rows a merge added, and how many the table already held."""

    added: int
    held: int


def moment(text: str) -> datetime | None:
    """Read a moment: ISO 8601 or epoch (s or ms); without a zone it is UTC."""
    text = text.strip()
    if _SHORT_NUMBER.fullmatch(text):
        return None
    try:
        read = _MOMENT.validate_python(text)
        aware = read if read.tzinfo else read.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc)
    except (ValidationError, OverflowError):
        return None


def add(
    session: Session, row: LogRow, received_at: datetime, answer_id: str | None = None
) -> LogEntry:
    """Add one choice, linked to the answer it came from."""
    entry = LogEntry(**_values(row, received_at), received_at=received_at, answer_id=answer_id)
    session.add(entry)
    return entry


def recent(session: Session, limit: int) -> list[Sequence[str]]:
    """Return the 12 columns of the newest ``limit`` rows, oldest of them first."""
    newest = session.execute(select(*_COLUMNS).order_by(LogEntry.id.desc()).limit(limit)).all()
    return [tuple(row) for row in reversed(newest)]


def stream(
    session: Session, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Sequence[str]]:
    """Yield the 12 columns of each row in order of arrival, in bounded memory."""
    rows = session.execute(
        select(*_COLUMNS).where(*_between(since, until)).order_by(LogEntry.id),
        execution_options={"yield_per": _BATCH},
    )
    for row in rows:
        yield tuple(row)


def count(session: Session, since: datetime | None = None, until: datetime | None = None) -> int:
    """Count the rows whose event is at or after ``since`` and before ``until``."""
    counted = select(func.count()).select_from(LogEntry).where(*_between(since, until))
    return session.scalar(counted) or 0


def times_chosen(session: Session, film_keys: Collection[str]) -> dict[str, int]:
    """Return how often each of these films was chosen; films never chosen are left out."""
    counted = (
        select(LogEntry.film_key, func.count())
        .where(LogEntry.film_key.in_(film_keys))
        .group_by(LogEntry.film_key)
    )
    return {row[0]: row[1] for row in session.execute(counted)}


def newest_id(session: Session) -> int:
    """Return the id of the newest row, 0 when there is none."""
    return session.scalar(select(func.max(LogEntry.id))) or 0


def choices(session: Session, limit: int) -> Iterator[tuple[dict[str, str], str]]:
    """Yield context and title of the newest ``limit`` rows, oldest of them first."""
    wanted = [getattr(LogEntry, field) for field in CONTEXT]
    newest = session.execute(
        select(*wanted, LogEntry.movie_title).order_by(LogEntry.id.desc()).limit(limit)
    ).all()
    for *context, title in reversed(newest):
        yield dict(zip(CONTEXT, context, strict=True)), title


def merge(session: Session, rows: Iterable[LogRow], received_at: datetime) -> Merged:
    """Add the rows the table does not hold yet, in their order, in one transaction.

    A row counts as held as often as the table held it before: of three equal rows, one held, two
    are added.
    """
    connection = session.connection()
    connection.execute(CreateTable(_INCOMING))
    total = 0
    pending = iter(rows)
    while batch := list(itertools.islice(pending, _BATCH)):
        connection.execute(insert(_INCOMING), [_values(row, received_at) for row in batch])
        total += len(batch)
    added = connection.execute(_insert_missing(received_at)).rowcount
    connection.execute(DropTable(_INCOMING))
    return Merged(added, total - added)


def _insert_missing(received_at: datetime) -> Any:
    incoming = [_INCOMING.c[field] for field in FIELDS]
    nth = func.row_number().over(partition_by=incoming, order_by=_INCOMING.c.place)
    arrived = select(_INCOMING, nth.label("nth")).subquery("arrived")
    held = select(*_COLUMNS, func.count().label("times")).group_by(*_COLUMNS).subquery("held")
    same = and_(*(arrived.c[field] == held.c[field] for field in FIELDS))
    names = (*FIELDS, "event_at", "film_key")
    missing = (
        select(*(arrived.c[name] for name in names), literal(received_at, UtcDateTime))
        .select_from(arrived.outerjoin(held, same))
        .where(arrived.c.nth > func.coalesce(held.c.times, 0))
        .order_by(arrived.c.place)
    )
    return insert(LogEntry.__table__).from_select([*names, "received_at"], missing)  # type: ignore[arg-type]


def _values(row: LogRow, received_at: datetime) -> dict[str, Any]:
    values = {field: getattr(row, field) for field in FIELDS}
    values["event_at"] = moment(row.client_sent_at) or received_at
    values["film_key"] = titles.key(row.movie_title)
    return values


def _between(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if since is not None:
        bounds.append(LogEntry.event_at >= since)
    if until is not None:
        bounds.append(LogEntry.event_at < until)
    return bounds
