"""All SQL that updates the dashboard's sums with each row written, or rebuilds them.

Days and hours are those of the station's time zone, moods those of the vocabulary.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Executable, and_, delete, func, select
from sqlalchemy.orm import Session

from moodflix import clock, vocabulary
from moodflix.store.models import THIRDS, Answer, AnswerPick, LogEntry, film_tallies, tallies
from moodflix.store.statements import add_up

# Sources of a mood that was not read by machine.
_NOT_READ: Final = (vocabulary.HAND, vocabulary.NONE)
_BATCH: Final = 2_000
# Sums in memory that are written at once.
_MAX_IN_MEMORY: Final = 50_000
#: Lower ranks are counted as this one.
LAST_RANK: Final = 11
_IS_PICK: Final = and_(
    LogEntry.answer_id == AnswerPick.answer_id, LogEntry.film_key == AnswerPick.film_key
)
#: The columns of a choice that are counted.
CHOICE: Final = ("mood", "film_key", "event_at")
Ranks = Mapping[str, int]


def bucket(ms: int) -> int:
    """Round a time down to its bucket, which is no wider than a tenth of the time."""
    for power in range(5):
        for under, width in ((20, 1), (50, 2), (100, 5)):
            step: int = width * 10**power
            if ms < under * 10**power:
                return ms // step * step
    return ms // 100_000 * 100_000


class Sums:
    """Counts of rows in a transaction, saved in the same one."""

    def __init__(self, connection: Connection) -> None:
        """Start with nothing counted."""
        self._connection, options = connection, connection.get_execution_options()
        self._zone, self._zone_name = options["zone"], options["zone_name"]
        # The newest moment and its day: what is counted of one answer is of one moment.
        self._moment: datetime | None = None
        self._day = ""
        self._tallies: Counter[tuple[str, str, str, str]] = Counter()
        self._films: defaultdict[tuple[str, str, int], list[int]]
        self._films = defaultdict(lambda: [0] * len(THIRDS))

    def choice(self, mood: str, film_key: str, event_at: datetime) -> None:
        """Count a choice, and its film if the mood is known."""
        at = clock.local(event_at, self._zone)
        day, mood = at.date().isoformat(), vocabulary.mood(mood) or ""
        self._tallies["zones", self._zone_name, "", ""] += 1
        self._tallies["choices", "", "", day] += 1
        self._tallies["hours", mood, str(24 * at.weekday() + at.hour), day] += 1
        if mood:
            third = 3 * at.month - 3 + min((at.day - 1) // 10, 2)
            self._films[mood, film_key, at.year][third] += 1
        if len(self._tallies) + len(self._films) > _MAX_IN_MEMORY:
            self.save()

    def answer(self, answered_at: datetime, llm_status: str, seconds: float) -> None:
        """Count an answer by the status of the LLM and by its time."""
        self._tallies["zones", self._zone_name, "", ""] += 1
        self._add("llm", llm_status, "", answered_at)
        self._add("seconds", str(bucket(int(seconds * 1000))), "", answered_at)

    def reading(self, read: str, corrected: str, answered_at: datetime, n: int = 1) -> None:
        """Count a mood that was read by machine, with its last correction by hand."""
        moods = (vocabulary.mood(read) or "", vocabulary.mood(corrected) or "")
        self._add("readings", *moods, answered_at, n)

    def offered(self, recommenders: Iterable[str], answered_at: datetime) -> None:
        """Count an answer for each recommender that ranked a film of it."""
        for name in recommenders:
            self._add("offered", name, "", answered_at)

    def origins(self, ranks: Ranks, event_at: datetime) -> None:
        """Count a choice by the rank that each recommender gave it."""
        for name, rank in ranks.items():
            self._add("origins", name, str(min(rank, LAST_RANK)), event_at)

    def accepted(self, best: Ranks, answered_at: datetime, n: int = 1) -> None:
        """Count an answer by the best rank that each recommender gave a film chosen from it."""
        for name, rank in best.items():
            self._add("accepted", name, str(min(rank, LAST_RANK)), answered_at, n)

    def _add(self, measure: str, a: str, b: str, moment: datetime, n: int = 1) -> None:
        if moment != self._moment:
            self._moment = moment
            self._day = clock.local(moment, self._zone).date().isoformat()
        self._tallies[measure, a, b, self._day] += n

    def save(self) -> None:
        """Add what was counted to the tables."""
        counted = [
            {"measure": measure, "a": a, "b": b, "day": day, "n": n}
            for (measure, a, b, day), n in self._tallies.items()
            if n
        ]
        films = [
            {"mood": mood, "film_key": key, "year": year}
            | dict(zip(THIRDS, accumulate(counts), strict=True))
            for (mood, key, year), counts in self._films.items()
        ]
        add_up(self._connection, tallies, counted)
        add_up(self._connection, film_tallies, films)
        self._tallies.clear()
        self._films.clear()


def count_choice(connection: Connection, choice: Mapping[str, Any]) -> None:
    """Count a choice that was just added."""
    sums, event_at, answer_id = Sums(connection), choice["event_at"], choice["answer_id"]
    sums.choice(choice["mood"], choice["film_key"], event_at)
    if answer_id is not None:
        log_id = connection.scalar(select(func.max(LogEntry.id)))
        found = connection.execute(
            select(LogEntry.id, Answer.answered_at, AnswerPick.position, AnswerPick.sources)
            .join_from(LogEntry, AnswerPick, _IS_PICK)
            .join(Answer, Answer.id == AnswerPick.answer_id)
            .where(LogEntry.answer_id == answer_id)
        ).all()
        new = [_ranks(row) for row in found if row.id == log_id]
        before = _best(_ranks(row) for row in found if row.id != log_id)
        for ranks in new:
            sums.origins(ranks, event_at)
        if new:
            sums.accepted(before, found[0].answered_at, -1)
            sums.accepted(_best([before, *new]), found[0].answered_at)
    sums.save()


def count_answer(
    connection: Connection, answer: Mapping[str, Any], picks: Iterable[Mapping[str, Any]]
) -> None:
    """Count an answer that was just added, and the reading that it corrects."""
    sums, at = Sums(connection), answer["answered_at"]
    sums.answer(at, answer["llm_status"], answer["seconds"])
    sums.offered({name for pick in picks for name in (*pick["sources"], "list")}, at)
    if answer["mood_source"] not in _NOT_READ:
        sums.reading(_mood(answer["context"]), _mood(answer["context"]), at)
    if answer["corrects"] is not None:
        corrected = select(Answer.answered_at, Answer.context)
        read_at, context = connection.execute(
            corrected.where(Answer.id == answer["corrects"])
        ).one()
        same = Answer.corrects == answer["corrects"]
        for which, n in ((same & (Answer.id != answer["id"]), -1), (same, 1)):
            moods = [_mood(context), *(mood for _, mood in _corrections(connection, which))]
            sums.reading(_mood(context), moods[-1], read_at, n)
    sums.save()


def count_choices(session: Session, choices: Executable) -> None:
    """Count choices without an answer by their ``CHOICE`` columns."""
    sums = Sums(session.connection())
    for row in _streamed(session, choices):
        sums.choice(*row)
    sums.save()


def are_missing(session: Session) -> bool:
    """Whether there are rows but no sums."""
    counted = session.execute(select(tallies.c.n).limit(1)).first()
    return counted is None and any(
        session.execute(select(key).limit(1)).first() for key in (LogEntry.id, Answer.id)
    )


def other_zones(session: Session) -> Sequence[str]:
    """Return the other time zones than the station's in which rows were counted."""
    options = session.connection().get_execution_options()
    is_other = tallies.c.a != options["zone_name"]
    zones = select(tallies.c.a).where(tallies.c.measure == "zones", is_other)
    return session.scalars(zones).all()


def rebuild(session: Session) -> None:
    """Delete all sums and count all rows again."""
    session.execute(delete(tallies))
    session.execute(delete(film_tallies))
    sums = Sums(session.connection())
    count_choices(session, select(LogEntry.mood, LogEntry.film_key, LogEntry.event_at))
    last = dict(_corrections(session, Answer.corrects.is_not(None)))
    columns = (Answer.id, Answer.context, Answer.mood_source, Answer.answered_at)
    more = (Answer.llm_status, Answer.seconds)
    for answer_id, context, source, at, *figures in _streamed(session, select(*columns, *more)):
        sums.answer(at, *figures)
        if source not in _NOT_READ:
            sums.reading(_mood(context), last.get(answer_id, _mood(context)), at)
    shown = (
        select(Answer.answered_at, Answer.id, AnswerPick.position, AnswerPick.sources)
        .add_columns(LogEntry.event_at)
        .join(AnswerPick, AnswerPick.answer_id == Answer.id)
        .join(LogEntry, _IS_PICK, isouter=True)
        .order_by(Answer.id)
    )
    for (at, _), rows in groupby(_streamed(session, shown), key=lambda row: row[:2]):
        offered, best = set[str](), dict[str, int]()
        for row in rows:
            offered |= _ranks(row).keys()
            if row.event_at is not None:
                sums.origins(_ranks(row), row.event_at)
                best = _best([best, _ranks(row)])
        sums.offered(offered, at)
        sums.accepted(best, at)
    sums.save()


def _streamed(session: Session, query: Executable) -> Iterable[Any]:
    return session.execute(query, execution_options={"yield_per": _BATCH})


def _corrections(
    session: Session | Connection, which: ColumnElement[bool]
) -> list[tuple[str, str]]:
    """Return the answers that were corrected, each with the mood given by hand, oldest first."""
    rows = session.execute(
        select(Answer.corrects, Answer.context).where(which).order_by(Answer.answered_at, Answer.id)
    )
    return [(corrected or "", _mood(context)) for corrected, context in rows]


def _mood(context: Mapping[str, str]) -> str:
    return context.get("mood", "")


def _ranks(row: Any) -> dict[str, int]:
    """Return the rank of a film by each recommender, and in the list that was shown."""
    return {**row.sources, "list": row.position}


def _best(films: Iterable[Ranks]) -> dict[str, int]:
    best: dict[str, int] = {}
    for ranks in films:
        for name, rank in ranks.items():
            best[name] = min(rank, best.get(name, rank))
    return best
