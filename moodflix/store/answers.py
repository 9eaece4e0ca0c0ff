"""All SQL about answers: what was recommended, and which answer a choice came from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session, aliased

from moodflix.films import titles
from moodflix.requests import LogRow
from moodflix.store import logs, sums
from moodflix.store.models import Answer, AnswerPick, Base, LogEntry
from moodflix.vocabulary import HAND, NONE

# Old front-ends name no answer: a choice belongs to the newest one this fresh that listed it.
LINK_WINDOW = timedelta(minutes=30)
_answers, _picks = Base.metadata.tables["answers"].c, Base.metadata.tables["answer_picks"].c
# Built once: SQLAlchemy takes longer to build them than SQLite to answer.
_NAMED = select(_answers.id).where(_answers.id == bindparam("id"))
_NEWEST_WITH_FILM = (
    select(_answers.id)
    .join_from(_answers.id.table, _picks.film_key.table)
    .where(
        _answers.answered_at.between(bindparam("since"), bindparam("now")),
        _picks.film_key == bindparam("film_key"),
    )
    .order_by(_answers.answered_at.desc())
    .limit(1)
)


@dataclass(frozen=True)
class StoredPick:
    """One film of an answer, with the rank that each recommender gave it."""

    film_key: str
    title: str
    year: int | None
    sources: Mapping[str, int]


@dataclass(frozen=True)
class StoredAnswer:
    """What is kept of an answer: its columns, and its films in their order."""

    id: str
    answered_at: datetime
    context: Mapping[str, str]
    mood_source: str
    tone_source: str
    llm_status: str
    llm_numbers: Mapping[str, float]
    seconds: float
    corrects: str | None
    picks: Sequence[StoredPick]


def record(session: Session, answer: StoredAnswer) -> None:
    """Store an answer and its picks.

    Of what it ``corrects`` only a reading of the mood is kept, put right by a mood given by hand.
    """
    by_hand = answer.mood_source == HAND
    columns = {**vars(answer), "corrects": _reading(session, answer.corrects) if by_hand else None}
    picks = [vars(pick) for pick in columns.pop("picks")]
    # Plain inserts: the unit of work would cost as much as the ranking.
    session.execute(insert(Answer.__table__), columns)  # type: ignore[arg-type]
    rows = [
        {"answer_id": answer.id, "position": place, **pick}
        for place, pick in enumerate(picks, start=1)
    ]
    session.execute(insert(AnswerPick.__table__), rows)  # type: ignore[arg-type]
    sums.count_answer(session, columns, picks)


def log_choice(
    session: Session, row: LogRow, now: datetime, inference_id: str | None = None
) -> None:
    """Add a choice to the log, linked to the answer it came from."""
    key = titles.key(row.movie_title)
    logs.add(session, row, now, answer_of_choice(session, key, now, inference_id))


def _reading(session: Session, answer_id: str | None) -> str | None:
    """Return the answer whose reading is meant: the one named, or the one that it corrects."""
    named = session.get(Answer, answer_id) if answer_id else None
    if named is None:
        return None
    return named.corrects if named.mood_source in (HAND, NONE) else named.id


def answer_of_choice(
    session: Session, film_key: str, now: datetime, inference_id: str | None = None
) -> str | None:
    """Return the id of the answer a choice came from, or ``None``.

    That is the answer named by ``inference_id``, else the newest of the last 30 minutes that
    listed the film.
    """
    if inference_id:
        named: str | None = session.scalar(_NAMED, {"id": inference_id})
        if named is not None:
            return named
    window = {"since": now - LINK_WINDOW, "now": now}
    return session.scalar(_NEWEST_WITH_FILM, {**window, "film_key": film_key})


def choice_sets(session: Session, n: int) -> Sequence[tuple[Sequence[Mapping[str, int]], int]]:
    """Return which film was chosen among those shown, of the answers that led to a choice.

    Each is the sources of its films by place, and the place of the chosen one, from 0. An answer
    counts once, by its newest choice. The newest ``n`` answers are looked at, chosen from or not.
    """
    newest = select(Answer.id).order_by(Answer.answered_at.desc()).limit(n).subquery()
    chosen = aliased(LogEntry)
    last = select(func.max(chosen.id)).where(chosen.answer_id == newest.c.id).correlate(newest)
    rows = session.execute(
        select(AnswerPick.answer_id, AnswerPick.sources, AnswerPick.film_key == LogEntry.film_key)
        .join(newest, newest.c.id == AnswerPick.answer_id)
        .join(LogEntry, LogEntry.id == last.scalar_subquery())
        .order_by(AnswerPick.answer_id, AnswerPick.position)
    )
    found = []
    for _, picks in itertools.groupby(rows, key=lambda row: row[0]):
        _, sources, taken = zip(*picks, strict=True)
        if any(taken):
            found.append((sources, taken.index(1)))
    return found
