"""All SQL about logs: add, recent, stream, count, merge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from moodflix import vocabulary
from moodflix.films import shipped
from moodflix.requests import CONTEXT, FIELDS, LogRow
from moodflix.spreadsheet_days import DayColumn
from moodflix.store import films, log_imports, sums
from moodflix.store.database import staged
from moodflix.store.models import Answer, Base, Film, FilmName, LogEntry
from moodflix.store.statements import Prepared, UtcDateTime

_COLUMNS = tuple(getattr(LogEntry, field) for field in FIELDS)
_TRAINING_COLUMNS = (
    *(getattr(LogEntry, field) for field in CONTEXT),
    LogEntry.movie_title,
    LogEntry.film_key,
    Film.title,
)
# Sources of a mood that nobody expressed: the answer's default, or no answer.
_NO_SOURCE = (vocabulary.NONE, None)
# What choices are counted by: the columns of the index ix_logs_film_key_mood.
_COUNTED_BY = (LogEntry.film_key, LogEntry.mood, LogEntry.weather_desc, LogEntry.weekday)
_BATCH = 2_000
# How long a transaction may hide a row, and how many newer rows may be visible meanwhile.
_MAX_TRANSACTION = timedelta(seconds=60)
_MAX_UNSETTLED = 200
_MAX_FILMS_COUNTED = 5_000
# Shorter numbers are years or day counts, not epoch seconds.
_SHORT_NUMBER = re.compile(r"[+-]?\d{0,8}(\.\d*)?", re.ASCII)
_MOMENT = TypeAdapter(datetime)
_LOGS = Base.metadata.tables["logs"]
# Built once: building a statement takes SQLAlchemy longer than SQLite takes to run it.
_ADD = insert(_LOGS)
_SENT = (*FIELDS, "received_at", "event_at", "film_key", "answer_id")
_ADD_OF_FILM = Prepared(
    _ADD.values(
        {name: bindparam(name) for name in _SENT} | {"film_id": films.id_of(bindparam("of_film"))}
    )
)
_NEWEST = (
    select(*(_LOGS.c[field] for field in FIELDS))
    .order_by(_LOGS.c.id.desc())
    .limit(bindparam("limit"))
)
# A clock that is ahead by more is wrong: the choice counts by when it was received.
_MAX_AHEAD = timedelta(days=1)

_INCOMING = Table(
    "incoming_logs",
    MetaData(),
    Column("place", Integer, primary_key=True),
    *(Column(field, String, nullable=False) for field in FIELDS),
    Column("event_at", UtcDateTime, nullable=False),
    Column("has_time", Boolean, nullable=False),
    Column("film_key", String, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Merged:
    """How many rows a merge added, and how many were there before.

    Of those added, the ``undated`` have no readable time; ``unreadable`` is the text of the first.
    """

    added: int
    existing: int
    undated: int = field(default=0, compare=False)
    unreadable: str = field(default="", compare=False)


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
    connection: Connection,
    row: LogRow,
    received_at: datetime,
    answer_id: str | None = None,
    film_key: str | None = None,
) -> None:
    """Add and count one choice; ``film_key`` is that of its title by default."""
    key = film_key or films.keys(connection, [row.movie_title])[row.movie_title]
    source = {"received_at": received_at, "answer_id": answer_id, "film_key": key}
    event_at = _event_at(moment(row.client_sent_at), received_at)
    choice = {**row.model_dump(), "event_at": event_at, **source}
    _ADD_OF_FILM.run(connection, {**choice, "of_film": key})
    sums.count_choice(connection, choice)


def recent(session: Session | Connection, limit: int) -> list[Sequence[str]]:
    """Return the 12 columns of the newest ``limit`` rows, oldest of them first."""
    return [*reversed(session.execute(_NEWEST, {"limit": limit}).all())]


def recent_films(session: Session, limit: int) -> list[tuple[str, str]]:
    """Return key and sent title of the films of the newest ``limit`` rows, newest first."""
    newest = select(LogEntry.film_key, LogEntry.movie_title).order_by(LogEntry.id.desc())
    return [(row[0], row[1]) for row in session.execute(newest.limit(limit))]


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


class ChoiceCounts:
    """How often films were chosen in each mood, weather and weekday: counted once, then updated.

    Threads may share it: counts are replaced, never changed in place.
    """

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._counted: tuple[int, tuple[int, ...], Mapping[str, Counter[str]]] = (0, (), {})

    def of(self, session: Session, film_keys: Collection[str]) -> dict[str, Counter[str]]:
        """Return film -> mood, weather or weekday -> count; ``""`` has the film's total.

        Films never chosen are left out, and so is a neutral mood.
        """
        before, version_before, films = self._counted
        newest = session.scalar(select(func.max(LogEntry.id))) or 0
        # With a film's new name, earlier choices may have become choices of that film.
        names = select(func.max(FilmName.id)).scalar_subquery()
        version = tuple(session.execute(select(names, log_imports.undone())).one())
        is_stale = version != version_before or len(films) > _MAX_FILMS_COUNTED
        if is_stale or not 0 <= newest - before <= _BATCH:
            films = {}
        elif newest > before:
            # With GROUP BY, SQLite would read the whole index for these few rows.
            newer = select(*_COUNTED_BY, literal(1)).where(LogEntry.id > before)
            films = _with_choices(films, session.execute(newer).all())
        if fresh := set(film_keys) - films.keys():
            counted = select(*_COUNTED_BY, func.count()).where(LogEntry.film_key.in_(fresh))
            rows = session.execute(counted.group_by(*_COUNTED_BY)).all()
            films = _with_choices({**films, **{key: Counter() for key in fresh}}, rows)
        self._counted = newest, version, films
        return {key: films[key] for key in film_keys if films[key]}


def _with_choices(
    films: Mapping[str, Counter[str]], rows: Iterable[Any]
) -> dict[str, Counter[str]]:
    """Return the counts with further choices of the same films added."""
    added: dict[str, Counter[str]] = {}
    for key, mood, weather, weekday, times in rows:
        if key in films:
            known = (
                vocabulary.mood(mood),
                vocabulary.weather(weather),
                vocabulary.weekday(weekday),
            )
            for word in {"", *filter(None, known)} - {vocabulary.NEUTRAL}:
                added.setdefault(key, Counter())[word] += times
    return {**films, **{key: films[key] + counts for key, counts in added.items()}}


def chosen_since(session: Session, since: datetime) -> frozenset[str]:
    """Return the keys of the films chosen since a moment."""
    # Of the bare column SQLite would read all choices, film by film, to find the distinct ones.
    film_key = LogEntry.film_key + ""
    return frozenset(session.scalars(select(film_key).where(*_between(since, None)).distinct()))


def id_range(session: Session, now: datetime | None = None) -> tuple[int, int]:
    """Return the ids of the oldest and of the newest settled row; zeros if there is none.

    A row is settled if no row with a lower id can still appear: rows after a gap in the ids are
    left out while a longer transaction may fill it.
    """
    now = now or datetime.now(timezone.utc)
    newest = session.execute(
        select(LogEntry.id, LogEntry.received_at).order_by(LogEntry.id.desc()).limit(_MAX_UNSETTLED)
    ).all()
    if not newest:
        return 0, 0
    last = newest[0].id
    for (later, received_at), (earlier, _) in pairwise(newest):
        if not timedelta() <= now - received_at < _MAX_TRANSACTION:
            break
        last = last if later == earlier + 1 else earlier
    return session.scalar(select(func.min(LogEntry.id))) or 0, last


def choices(
    session: Session, after: int = 0, until: int | None = None
) -> Iterator[tuple[list[dict[str, str]], list[str]]]:
    """Yield batches of contexts and films to learn from, in bounded memory.

    A film is its title as sent, or, if that means another film, its title with the year. A mood or
    tone ``neutral`` is blank unless somebody expressed it. Without ``after``, rows are in the order
    in which the choices were made, else in order of arrival; ``until`` is the newest id.
    """
    # A client's clock may be ahead, but no choice is made after it arrived.
    was_before = LogEntry.event_at < LogEntry.received_at
    made_at = case((was_before, LogEntry.event_at), else_=LogEntry.received_at)
    sources = (Answer.mood_source, Answer.tone_source)
    rows = session.execute(
        select(*_TRAINING_COLUMNS, *sources)
        .select_from(LogEntry)
        .join(Answer, Answer.id == LogEntry.answer_id, isouter=True)
        .join(Film, Film.id == LogEntry.film_id, isouter=True)
        .where(LogEntry.id > after, *([] if until is None else [LogEntry.id <= until]))
        .order_by(*([] if after else [made_at]), LogEntry.id),
        execution_options={"yield_per": _BATCH},
    )
    for batch in rows.partitions():
        contexts = []
        for *texts, _, _, _, mood_source, tone_source in batch:
            context = dict(zip(CONTEXT, texts, strict=True))
            for name, source in (("mood", mood_source), ("tone", tone_source)):
                if source in _NO_SOURCE and context[name].strip().casefold() == vocabulary.NEUTRAL:
                    context[name] = ""
            contexts.append(context)
        yield contexts, [shipped.clear_title(*row[len(CONTEXT) : -len(sources)]) for row in batch]


def merge(session: Session, rows: Iterable[LogRow], received_at: datetime) -> Merged:
    """Add the rows that are not in the table yet, in their order.

    Equal rows are counted: of three equal rows, one of them in the table, two are added.
    """
    days = DayColumn()
    with staged(session, _INCOMING, _incoming(rows, days, received_at)) as total:
        newest_before = log_imports.newest_id(session)
        session.execute(delete(_INCOMING).where(_INCOMING.c.place.in_(_existing())))
        _identify(session)
        undated, unreadable = _date(session, days, received_at)
        columns = [_INCOMING.c[name] for name in (*FIELDS, "event_at", "film_key")]
        more = (films.id_of(_INCOMING.c.film_key), literal(received_at, UtcDateTime))
        missing = select(*columns, *more).order_by(_INCOMING.c.place)
        names = [*(each.name for each in columns), "film_id", "received_at"]
        added = session.connection().execute(_ADD.from_select(names, missing)).rowcount
        log_imports.record(session, received_at, newest_before)
        sums.count_choices(session, select(*(_INCOMING.c[name] for name in sums.CHOICE)))
    return Merged(added, total - added, undated, unreadable)


def _incoming(
    rows: Iterable[LogRow], days: DayColumn, received_at: datetime
) -> Iterator[list[dict[str, Any]]]:
    for row in rows:
        sent_at = moment(row.client_sent_at)
        if sent_at is None:
            days.add(row.client_sent_at)
        event_at = _event_at(sent_at, received_at)
        more = {"event_at": event_at, "has_time": sent_at is not None, "film_key": ""}
        yield [{**row.model_dump(), **more}]


def _date(session: Session, days: DayColumn, received_at: datetime) -> tuple[int, str]:
    """Set the times that can be read only now; return how many can't, and the first of those."""
    undated, unreadable = 0, ""
    others = select(_INCOMING.c.place, _INCOMING.c.client_sent_at).where(~_INCOMING.c.has_time)
    of_place = update(_INCOMING).where(_INCOMING.c.place == bindparam("at"))
    for batch in session.execute(others.order_by(_INCOMING.c.place)).partitions(_BATCH):
        found = [(place, text, days.moment(text)) for place, text in batch]
        missing = [text for _, text, sent_at in found if sent_at is None]
        unreadable = unreadable or next(filter(None, missing), "")
        undated += len(missing)
        dated = [
            {"at": place, "event_at": _event_at(sent_at, received_at)}
            for place, _, sent_at in found
            if sent_at is not None
        ]
        if dated:
            session.connection().execute(of_place, dated)
    return undated, unreadable


def _identify(session: Session) -> None:
    """Set the film keys of the incoming rows."""
    incoming = session.execute(select(_INCOMING.c.place, _INCOMING.c.movie_title))
    of_place = update(_INCOMING).where(_INCOMING.c.place == bindparam("at"))
    for batch in incoming.partitions(_BATCH):
        keys = films.keys(session, (title for _, title in batch))
        found = [{"at": place, "film_key": keys[title]} for place, title in batch]
        session.connection().execute(of_place, found)


def _existing() -> Select[tuple[int]]:
    """Return the query for the places of incoming rows that are in the table already."""
    incoming = [_INCOMING.c[field] for field in FIELDS]
    nth = func.row_number().over(partition_by=incoming, order_by=_INCOMING.c.place)
    arrived = select(_INCOMING, nth.label("nth")).subquery("arrived")
    existing = (
        select(*_COLUMNS, func.count().label("times")).group_by(*_COLUMNS).subquery("existing")
    )
    same = and_(*(arrived.c[field] == existing.c[field] for field in FIELDS))
    return select(arrived.c.place).join(existing, same).where(arrived.c.nth <= existing.c.times)


def _event_at(sent_at: datetime | None, received_at: datetime) -> datetime:
    if sent_at is None or sent_at > received_at + _MAX_AHEAD:
        return received_at
    return sent_at


def _between(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if since is not None:
        bounds.append(LogEntry.event_at >= since)
    if until is not None:
        bounds.append(LogEntry.event_at < until)
    return bounds
