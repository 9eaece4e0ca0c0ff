"""The sums that are kept with each row, against what is counted of all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from moodflix import vocabulary
from moodflix.films import titles
from moodflix.requests import LogRow
from moodflix.store import answers, logs, migration, stats
from moodflix.store.answers import StoredAnswer, StoredPick
from moodflix.store.database import Database
from moodflix.store.models import Answer, AnswerPick, LogEntry
from moodflix.store.sums import rebuild
from tests.test_stats import far_west, sums, sums_in

__all__ = ["far_west"]
FILMS = [f"Film {letter}" for letter in "ABCDEFGHIJKLMN"]
MOODS = ("sad", "Sad", "gloomy", "행복", "happy", "fear", "", "beige")
RECOMMENDERS = ("llm", "context", "catalogue")
moments = st.timedeltas(timedelta(0), timedelta(days=515)).map(
    lambda since: datetime(2024, 11, 1, tzinfo=timezone.utc) + since
)
days = st.dates(date(2024, 10, 30), date(2026, 4, 2))


@dataclass
class Asked:
    """An answer to be given: how its mood came about, and its picks."""

    id: str
    at: datetime
    source: str
    mood: str
    status: str
    seconds: float
    corrects: str | None
    picks: list[dict[str, int]] = field(default_factory=list)


@st.composite
def evenings(draw: st.DrawFn) -> tuple[list[Asked], list[tuple[datetime, str, str, str | None]]]:
    """Answers, and choices (when, in which mood, what, of which answer)."""
    asked: list[Asked] = []
    for number in range(draw(st.integers(0, 6))):
        known = st.sampled_from([each.id for each in asked] or ["none such"])
        ranks = st.dictionaries(st.sampled_from(RECOMMENDERS), st.integers(1, 14), min_size=1)
        asked.append(
            Asked(
                f"answer {number}",
                draw(moments),
                draw(st.sampled_from(["hand", "words", "face", "none"])),
                draw(st.sampled_from(MOODS)),
                draw(st.sampled_from(["off", "used"])),
                draw(st.floats(0, 500)),
                draw(st.none() | known),
                draw(st.lists(ranks, min_size=1, max_size=len(FILMS))),
            )
        )
    link = st.none() | st.sampled_from([each.id for each in asked]) if asked else st.none()
    chosen = st.tuples(moments, st.sampled_from(MOODS), st.sampled_from(FILMS), link)
    return asked, draw(st.lists(chosen, max_size=60))


def store(
    session: Session,
    asked: Iterable[Asked],
    chosen: Iterable[tuple[datetime, str, str, str | None]],
) -> None:
    for each in asked:
        answer = StoredAnswer(
            id=each.id,
            answered_at=each.at,
            context={"mood": each.mood},
            mood_source=each.source,
            tone_source="none",
            llm_status=each.status,
            llm_numbers={},
            seconds=each.seconds,
            corrects=each.corrects,
            picks=[
                StoredPick(titles.key(film), film, None, sources)
                for film, sources in zip(FILMS, each.picks, strict=False)
            ],
        )
        answers.record(session.connection(), answer)
    for at, mood, film, answer_id in chosen:
        row = LogRow(client_sent_at=at.isoformat(), mood=mood, movie_title=film)
        logs.add(session.connection(), row, at, answer_id)
    session.flush()


def day(moment: datetime) -> date:
    return moment.astimezone().date()


def fold(mood: str) -> str:
    return vocabulary.mood(mood) or ""


class Counted:
    """What the tables must say of the rows that a session sees, in a range of days."""

    def __init__(self, session: Session, first: date, last: date) -> None:
        session.expire_all()
        self.first, self.last = first, last
        self.answers = session.query(Answer).all()
        self.logs = session.query(LogEntry).all()
        self.chosen = [log for log in self.logs if self.within(log.event_at)]
        self.ranks = {
            (pick.answer_id, pick.film_key): {**pick.sources, "list": pick.position}
            for pick in session.query(AnswerPick)
        }

    def within(self, moment: datetime) -> bool:
        return self.first <= day(moment) <= self.last

    def choices(self) -> Any:
        return Counter((str(day(log.event_at)),) for log in self.chosen)

    def hours(self) -> Any:
        local = [(log.event_at.astimezone(), fold(log.mood)) for log in self.chosen]
        return Counter((at.weekday(), at.hour, mood) for at, mood in local)

    def films(self) -> Any:
        every = Counter((fold(log.mood), log.movie_title) for log in self.chosen)
        top: list[Any] = []
        for mood in vocabulary.MOODS:
            mine = [(title, n) for (of, title), n in every.items() if of == mood]
            mine.sort(key=lambda each: (-each[1], each[0]))
            top += [((mood, title), n) for title, n in mine[:10]]
        return dict(top)

    def _ranked(self, log: LogEntry) -> dict[str, int]:
        return self.ranks.get((log.answer_id or "", log.film_key), {})

    def origins(self) -> Any:
        return Counter(
            (who, min(rank, 11)) for log in self.chosen for who, rank in self._ranked(log).items()
        )

    def acceptance(self) -> Any:
        shown: Counter[str] = Counter()
        accepted: Counter[tuple[str, int]] = Counter()
        for answer in [each for each in self.answers if self.within(each.answered_at)]:
            picks = [ranks for (of, _), ranks in self.ranks.items() if of == answer.id]
            shown.update({who for ranks in picks for who in ranks})
            best: dict[str, int] = {}
            for log in self.logs:
                if log.answer_id == answer.id:
                    for who, rank in self._ranked(log).items():
                        best[who] = min(rank, best.get(who, rank))
            accepted.update((who, k) for who, rank in best.items() for k in (1, 3, 5) if rank <= k)
        return {(who, k, n): accepted[who, k] for who, n in shown.items() for k in (1, 3, 5)}

    def readings(self) -> Any:
        last_said = {
            answer.corrects: answer.context["mood"]
            for answer in sorted(self.answers, key=lambda each: (each.answered_at, each.id))
        }
        return Counter(
            (fold(answer.context["mood"]), fold(last_said.get(answer.id, answer.context["mood"])))
            for answer in self.answers
            if answer.mood_source not in ("hand", "none") and self.within(answer.answered_at)
        )

    def llm(self) -> Any:
        return Counter(
            (str(day(answer.answered_at)), answer.llm_status)
            for answer in self.answers
            if self.within(answer.answered_at)
        )


def check(session: Session, first: date, last: date) -> None:
    expected = Counted(session, first, last)
    for name in ("choices", "hours", "films", "origins", "readings", "llm"):
        found = stats.table(session, name, first, last).rows
        assert {row[:-1]: row[-1] for row in found} == dict(getattr(expected, name)()), name
        assert len(found) == len({row[:-1] for row in found})
    found = stats.table(session, "acceptance", first, last).rows
    assert {row[:3]: row[3] for row in found} == expected.acceptance()
    for _, _, shown, accepted, share, low, high in found:
        assert 0 <= low <= share == accepted / shown <= high <= 1
    for day_, n, median, high in stats.table(session, "seconds", first, last).rows:
        took = sorted(
            answer.seconds for answer in expected.answers if str(day(answer.answered_at)) == day_
        )
        assert n == len(took)
        assert took[0] * 0.9 - 0.001 <= median <= high <= took[-1] * 1.1 + 0.001


@settings(max_examples=35, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    evening=evenings(),
    ranges=st.lists(st.tuples(days, days), min_size=2, max_size=4),
    data=st.data(),
)
def test_sums_are_those_of_the_rows(
    database: Database,
    evening: tuple[list[Asked], list[tuple[datetime, str, str, str | None]]],
    ranges: Sequence[tuple[date, date]],
    data: st.DataObject,
) -> None:
    with database.write() as session:
        store(session, *evening)
        for each in ranges:
            check(session, *sorted(each))
        kept = sums_in(session)
        rebuild(session)
        assert sums_in(session) == kept
        gone = data.draw(
            st.sets(st.sampled_from([log.id for log in session.query(LogEntry)] or [0]))
        )
        session.execute(delete(LogEntry).where(LogEntry.id.in_(gone)))
        place = data.draw(st.integers(1, len(FILMS)))
        session.execute(delete(AnswerPick).where(AnswerPick.position == place))
        rebuild(session)
        check(session, *sorted(ranges[0]))
        for table in (LogEntry, AnswerPick, Answer):
            session.execute(delete(table))
        rebuild(session)
    assert sums(database) == []


def test_what_is_there_is_counted_by_the_migration(database: Database) -> None:
    at = datetime(2026, 1, 1, 3, tzinfo=timezone.utc)
    spread = [at + timedelta(hours=37 * hour) for hour in range(60)]
    asked = [
        Asked(
            f"{n}", at, "words", "sad", "used", 0.01 * n, None, [{"llm": 2, "context": n + 1}] * 12
        )
        for n, at in enumerate(spread[:9])
    ]
    chosen = [
        (at, MOODS[n % len(MOODS)], FILMS[n % 14], str(n % 9) if n % 2 else None)
        for n, at in enumerate(spread)
    ]
    with database.write() as session:
        store(session, asked, chosen)
    counted = sums(database)
    assert len({row[0] for row in counted}) > len(MOODS)
    config = migration.alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
    with database.read() as session, pytest.raises(Exception, match="no such table"):
        session.execute(text("SELECT * FROM tallies"))
    migration.upgrade(database)
    assert sums(database) == counted
    assert migration.differences(database) == []
