"""All SQL that links choices, picks and verdicts to films that were added later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Column, Integer, MetaData, String, Table, func, or_, select, update
from sqlalchemy.orm import Session

from moodflix.films import titles
from moodflix.store import films
from moodflix.store.database import staged
from moodflix.store.models import AnswerPick, Feedback, LogEntry

_BATCH: Final = 2_000

# Which film is meant by a title, the key of a row, and the year it was recommended with (0: none).
_MEANT = Table(
    "meant_films",
    MetaData(),
    Column("title", String, primary_key=True),
    Column("old_key", String, primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("film_key", String, nullable=False),
    Column("film_id", Integer),
    prefixes=["TEMPORARY"],
)


def link(session: Session) -> bool:
    """Link rows without a film to the film they mean; return whether choices changed.

    A choice or verdict means the film that its answer listed under that title.
    """
    with staged(session, _MEANT, _meant(session)):
        # Before the picks: choices are found among them by the key they were stored under.
        changed = _link(session, LogEntry, LogEntry.movie_title, _year_listed(LogEntry))
        _link_verdicts(session)
        _link(session, AnswerPick, AnswerPick.title, func.coalesce(AnswerPick.year, 0))
    return changed


def _meant(session: Session) -> Iterator[list[dict[str, Any]]]:
    unlinked = [
        select(title, table.film_key, year).where(table.film_id.is_(None))
        for table, title, year in (
            (LogEntry, LogEntry.movie_title, _year_listed(LogEntry)),
            (Feedback, Feedback.title, _year_listed(Feedback)),
            (AnswerPick, AnswerPick.title, func.coalesce(AnswerPick.year, 0)),
        )
    ]
    distinct = unlinked[0].union(*unlinked[1:])
    for batch in session.execute(distinct).partitions(_BATCH):
        # A year that was sent is in the key; one in the title counts more than the one listed.
        titled = [
            (title, titles.split_year(key)[1] or titles.split_year(title)[1] or year or None)
            for title, key, year in batch
        ]
        found = films.meant(session, titled)
        for (title, old_key, year), as_meant, meant in zip(batch, titled, found, strict=True):
            film_key = meant[0].film_key if meant else titles.film_key(*as_meant)
            film_id = meant[0].id if meant else None
            row = {"title": title, "old_key": old_key, "year": year}
            yield [{**row, "film_key": film_key, "film_id": film_id}]


def _year_listed(table: Any) -> Any:
    """Return the subquery for the year with which the answer listed the film; 0 for none."""
    listed = select(func.max(AnswerPick.year)).where(
        AnswerPick.answer_id == table.answer_id, AnswerPick.film_key == table.film_key
    )
    return func.coalesce(listed.correlate(table).scalar_subquery(), 0)


def _link(session: Session, table: Any, title: Any, year: Any) -> bool:
    def of(column: Column[Any]) -> Any:
        same = (_MEANT.c.title == title) & (_MEANT.c.old_key == table.film_key)
        return select(column).where(same, _MEANT.c.year == year).correlate(table).scalar_subquery()

    film_id, film_key = of(_MEANT.c.film_id), of(_MEANT.c.film_key)
    done = session.execute(
        update(table)
        .where(table.film_id.is_(None), or_(film_id.is_not(None), film_key != table.film_key))
        .values(film_id=film_id, film_key=film_key),
        execution_options={"synchronize_session": False},
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _link_verdicts(session: Session) -> None:
    same = (_MEANT.c.title == Feedback.title) & (_MEANT.c.old_key == Feedback.film_key)
    rows = session.execute(
        select(Feedback, _MEANT.c.film_key, _MEANT.c.film_id)
        .join(_MEANT, same & (_MEANT.c.year == _year_listed(Feedback)))
        .where(Feedback.film_id.is_(None))
        .order_by(Feedback.said_at)
    ).all()
    for verdict, film_key, film_id in rows:
        other = session.get(Feedback, (verdict.visitor, film_key))
        # Of two verdicts of one visitor on one film, the newer is kept.
        if other is not None and other is not verdict:
            older = min(other, verdict, key=lambda each: each.said_at)
            session.delete(older)
            session.flush()
            if older is verdict:
                continue
        verdict.film_key, verdict.film_id = film_key, film_id
        session.flush()
