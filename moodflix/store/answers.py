"""All SQL about answers: what was recommended, and which answer a choice came from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select
from sqlalchemy.orm import Session, aliased

from moodflix.films import titles
from moodflix.requests import LogRow
from moodflix.store import films, logs, sums
from moodflix.store.models import Answer, AnswerPick, Base, LogEntry
from moodflix.store.statements import Prepared
from moodflix.vocabulary import HAND, NONE

# Old front-ends don't send the answer's id: a choice belongs to the newest answer within this time
# that listed the film.
LINK_WINDOW = timedelta(minutes=30)
_answers, _picks = Base.metadata.tables["answers"].c, Base.metadata.tables["answer_picks"].c
_ID = Prepared(select(_answers.id).where(_answers.id == bindparam("id")))


@cache
def _newest_listing(keys: int, *, is_named: bool) -> Prepared:
    """Return the query for the newest answer that listed a film with one of ``keys`` keys.

    Only the answer of an id is looked at if it ``is_named``, else those of a period.
    """
    is_meant = _picks.film_key.in_([bindparam(f"key_{place}") for place in range(keys)])
    # A film not in the table may have been recommended with a year.
    in_range = _picks.film_key.between(bindparam("from"), bindparam("to"))
    is_other = _picks.film_key != bindparam("key_0")
    since = _answers.answered_at.between(bindparam("since"), bindparam("now"))
    return Prepared(
        select(_picks.answer_id, _picks.film_key)
        .join_from(_answers.id.table, _picks.film_key.table)
        .where(_answers.id == bindparam("id") if is_named else since)
        .where(or_(is_meant, and_(_picks.film_id.is_(None), in_range)))
        .order_by(_answers.answered_at.desc(), is_other, _picks.position)
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


def record(connection: Connection, answer: StoredAnswer) -> None:
    """Store an answer and its picks.

    ``corrects`` is kept only if a mood by hand corrects one that was read by machine.
    """
    by_hand = answer.mood_source == HAND
    columns = {
        **vars(answer),
        "corrects": _corrected(connection, answer.corrects) if by_hand else None,
    }
    picks = [vars(pick) for pick in columns.pop("picks")]
    # Plain inserts: the ORM would take as long as the ranking.
    connection.execute(insert(Answer.__table__), columns)  # type: ignore[arg-type]
    rows = [
        {"answer_id": answer.id, "position": place, "key_of_film": pick["film_key"], **pick}
        for place, pick in enumerate(picks, start=1)
    ]
    new = insert(AnswerPick.__table__).values(film_id=films.id_of(bindparam("key_of_film")))  # type: ignore[arg-type]
    connection.execute(new, rows)
    sums.count_answer(connection, columns, picks)


def log_choice(
    connection: Connection,
    row: LogRow,
    now: datetime,
    inference_id: str | None = None,
    year: int | None = None,
) -> None:
    """Add a choice to the log, linked to the answer it came from; ``year`` is the film's."""
    logs.add(connection, row, now, *origin(connection, row.movie_title, now, inference_id, year))


def _corrected(connection: Connection, answer_id: str | None) -> str | None:
    """Return the answer whose mood was read by machine: this one, or the one that it corrects."""
    columns = select(_answers.corrects, _answers.mood_source)
    named = connection.execute(columns.where(_answers.id == answer_id)).first()
    if named is None:
        return None
    return named.corrects if named.mood_source in (HAND, NONE) else answer_id


def origin(
    connection: Connection,
    title: str,
    now: datetime,
    inference_id: str | None = None,
    year: int | None = None,
) -> tuple[str | None, str]:
    """Return the answer that a choice came from, if known, and the key of the film it means.

    The answer is the one named by ``inference_id``, else the newest of the last 30 minutes that
    listed the film. If the title means several films equally well, it is the one listed.
    """
    [likely] = films.meant(connection, [(title, year)])
    spelled = titles.film_key(title, year)
    keys = list(map(attrgetter("film_key"), likely)) or [spelled]
    named = inference_id and _ID.run(connection, {"id": inference_id}).fetchone()
    within = {"id": inference_id} if named else {"since": now - LINK_WINDOW, "now": now}
    key = {f"key_{place}": each for place, each in enumerate(keys)}
    meant = {**within, **key, "from": f"{spelled} (0", "to": f"{spelled} (9999)"}
    found = _newest_listing(len(keys), is_named=bool(named)).run(connection, meant).fetchone()
    return (found[0], found[1]) if found else (inference_id if named else None, keys[0])


def choice_sets(session: Session, n: int) -> Sequence[tuple[Sequence[Mapping[str, int]], int]]:
    """Return the choice sets of those of the newest ``n`` answers that led to a choice.

    Each is the sources of the films in their order, and the index of the chosen one; of several
    choices from one answer, the newest counts.
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
