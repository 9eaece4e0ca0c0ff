"""All SQL for the tables of the dashboard, from the sums that `store.sums` keeps.

Each table takes under 100 ms at a million choices.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, literal, select
from sqlalchemy.orm import Session

from moodflix import clock, vocabulary
from moodflix.films import titles
from moodflix.store import films
from moodflix.store.database import zone_of
from moodflix.store.models import THIRDS, LogEntry, Training, film_tallies, tallies

_Rows = list[tuple[Any, ...]]
_TOP: Final = 10
# How many films of a list, from its first, are looked at.
_KS: Final = (1, 3, 5)
# Quantile of the normal distribution for a 95 % interval.
_Z_95: Final = 1.96
# Days outside these can't be converted to another time zone.
_EARLIEST, _LATEST = date(1, 2, 1), date(9999, 11, 29)


@dataclass(frozen=True)
class Table:
    """A table in long form, the same for JSON and CSV; days are ISO 8601."""

    columns: tuple[str, ...]
    rows: _Rows


def table(session: Session, name: str, first: date, last: date) -> Table:
    """Return one of ``TABLES`` from the first day to the last, both included.

    An unknown mood is blank.
    """
    columns, rows = _TABLES[name]
    first, last = max(first, _EARLIEST), min(last, _LATEST)
    return Table(tuple(columns.split()), rows(session, first, last) if first <= last else [])


def span(session: Session) -> tuple[date, date] | None:
    """Return the first and the last day with choices or answers."""
    ends = func.min(tallies.c.day), func.max(tallies.c.day)
    found = session.execute(
        select(*ends).where(tallies.c.measure.in_(("choices", "llm")), tallies.c.n > 0)
    ).one()
    if found[0] is None:
        return None
    first, last = (min(max(day, str(_EARLIEST)), str(_LATEST)) for day in found)
    return date.fromisoformat(first), date.fromisoformat(last)


def _sums(session: Session, measure: str, first: date, last: date, *by: str) -> _Rows:
    columns = [tallies.c[name] for name in by]
    total = func.sum(tallies.c.n)
    rows = session.execute(
        select(*columns, total)
        .where(tallies.c.measure == measure, tallies.c.day.between(str(first), str(last)))
        .group_by(*columns)
        .having(total > 0)
    )
    return [tuple(row) for row in rows]


def _choices(session: Session, first: date, last: date) -> _Rows:
    return sorted(_sums(session, "choices", first, last, "day"))


def _hours(session: Session, first: date, last: date) -> _Rows:
    rows = _sums(session, "hours", first, last, "a", "b")
    return sorted((*divmod(int(slot), 24), mood, n) for mood, slot, n in rows)


def _origins(session: Session, first: date, last: date) -> _Rows:
    rows = _sums(session, "origins", first, last, "a", "b")
    return sorted((recommender, int(rank), n) for recommender, rank, n in rows)


def _acceptance(session: Session, first: date, last: date) -> _Rows:
    taken = _sums(session, "accepted", first, last, "a", "b")
    rows: _Rows = []
    for recommender, shown in sorted(_sums(session, "offered", first, last, "a")):
        for k in _KS:
            # Of other days than those shown, if the time zone changed without a rebuild.
            counted = sum(n for who, rank, n in taken if who == recommender and int(rank) <= k)
            accepted = min(counted, shown)
            low, high = _wilson(accepted, shown)
            rows.append((recommender, k, shown, accepted, accepted / shown, low, high))
    return rows


def _wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, by Wilson's score."""
    share, spread = hits / n, _Z_95**2 / n
    middle = share + spread / 2
    half = _Z_95 * math.sqrt((share * (1 - share) + spread / 4) / n)
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def _readings(session: Session, first: date, last: date) -> _Rows:
    return sorted(_sums(session, "readings", first, last, "a", "b"))


def _llm(session: Session, first: date, last: date) -> _Rows:
    rows = _sums(session, "llm", first, last, "a", "day")
    return sorted((day, status, n) for status, day, n in rows)


def _seconds(session: Session, first: date, last: date) -> _Rows:
    days = defaultdict(list)
    counted = select(tallies.c.day, tallies.c.a, tallies.c.n).where(
        tallies.c.measure == "seconds",
        tallies.c.day.between(str(first), str(last)),
        tallies.c.n > 0,
    )
    for day, lower, n in session.execute(counted):
        days[day].append((int(lower), n))
    rows: _Rows = []
    for day, buckets in sorted(days.items()):
        buckets.sort()
        found = (_quantile(buckets, q) for q in (0.5, 0.95))
        rows.append((day, sum(n for _, n in buckets), *found))
    return rows


def _quantile(buckets: Sequence[tuple[int, int]], q: float) -> float:
    """Return a quantile in seconds of times in ms, as rounded by `sums.bucket`, with counts."""
    left = q * sum(n for _, n in buckets)
    for lower, n in buckets:
        if left <= n:
            ten = 10 ** max(len(str(lower)) - 1, 1)
            width = ten // 10 * (1 if lower < 2 * ten else 2 if lower < 5 * ten else 5)
            return float(round((lower + width * left / n) / 1000, 4))
        left -= n
    raise AssertionError("no quantile is above the sum")


def _models(session: Session, first: date, last: date) -> _Rows:
    columns = [Training.__table__.c[name] for name in _TABLES["models"][0].split()]
    made = Training.made_at
    zone, following = zone_of(session.connection()), last + timedelta(days=1)
    rows = session.execute(
        select(*columns)
        .where(made >= clock.start_of(first, zone), made < clock.start_of(following, zone))
        .order_by(Training.id)
    )
    return [(row.number, row.made_at.isoformat(), *row[2:]) for row in rows]


def _films(session: Session, first: date, last: date) -> _Rows:
    """Return the most chosen films in each mood.

    Choices are summed by thirds of months. The sums between the thirds that are nearest to the two
    ends are corrected by the choices between third and end, which are read from the log.
    """
    begin, end = first, last + timedelta(days=1)
    from_third, to_third = _nearest_third(begin), _nearest_third(end)
    corrections: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for day, third, is_missing in (
        (begin, from_third, begin < from_third),
        (end, to_third, to_third < end),
    ):
        for mood, key in _chosen_between(session, *sorted((day, third))):
            corrections[vocabulary.mood(mood)][key] += 1 if is_missing else -1
    most = {
        mood: _most(_summed(session, mood, from_third, to_third), corrections[mood])
        for mood in vocabulary.MOODS
    }
    shown = _titles(session, {key for found in most.values() for _, key in found})
    return [(mood, shown[key], n) for mood, found in most.items() for n, key in found]


def _nearest_third(day: date) -> date:
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    thirds = first, first.replace(day=11), first.replace(day=21), following
    return min(thirds, key=lambda third: abs(third - day))


def _chosen_between(session: Session, begin: date, end: date) -> Iterable[Any]:
    """Return the moods, as they were sent, and the films of the choices between two days."""
    zone = zone_of(session.connection())
    began, ended = (clock.start_of(day, zone) for day in (begin, end))
    within = LogEntry.event_at >= began, LogEntry.event_at < ended
    return session.execute(select(LogEntry.mood, LogEntry.film_key).where(*within))


def _summed(session: Session, mood: str, begin: date, end: date) -> Iterator[tuple[str, int]]:
    """Yield films and their choices between two thirds of months, the most chosen first."""
    if begin == end:
        return

    def upto(third: date) -> ColumnElement[int]:
        at = 3 * (third.month - 1) + third.day // 10
        part: ColumnElement[int] = film_tallies.c[THIRDS[at - 1]] if at else literal(0)
        year = film_tallies.c.year
        whole = film_tallies.c[THIRDS[-1]]
        return case((year < third.year, whole), (year == third.year, part), else_=0)

    n = func.sum(upto(end) - upto(begin)).label("n")
    key, year = film_tallies.c.film_key, film_tallies.c.year
    rows = session.execute(
        select(key, n)
        .where(film_tallies.c.mood == mood, year.between(begin.year, end.year))
        .group_by(key)
        .order_by(n.desc())
    )
    with closing(rows):
        yield from ((key, n) for key, n in rows)


def _most(summed: Iterable[tuple[str, int]], near: Counter[str]) -> list[tuple[int, str]]:
    """Return the films with the highest total of both; ``summed`` is read only as far as needed."""
    max_near = max(near.values(), default=0)
    found, highest = [], [0] * _TOP
    for key, n in summed:
        if n + max_near < highest[0]:
            break
        found.append((n + near.pop(key, 0), key))
        heapq.heappushpop(highest, found[-1][0])
    found += [(n, key) for key, n in near.items()]
    found.sort(key=lambda each: (-each[0], each[1]))
    return [each for each in found[:_TOP] if each[0] > 0]


def _titles(session: Session, keys: Collection[str]) -> dict[str, str]:
    """Return a title for each film: from the table of films, else the one sent last."""
    newest = select(func.max(LogEntry.id)).where(LogEntry.film_key.in_(keys))
    sent = select(LogEntry.film_key, LogEntry.movie_title).where(
        LogEntry.id.in_(newest.group_by(LogEntry.film_key))
    )
    rows = session.execute(sent)
    shown = {key: titles.with_year(titles.tidy(title), key) for key, title in rows}
    return shown | films.display_titles(session, keys)


_TABLES: Final[dict[str, tuple[str, Callable[[Session, date, date], _Rows]]]] = {
    "choices": ("day choices", _choices),
    "hours": ("weekday hour mood choices", _hours),
    "films": ("mood title choices", _films),
    "origins": ("recommender rank choices", _origins),
    "acceptance": ("recommender k shown accepted share low high", _acceptance),
    "readings": ("read said answers", _readings),
    "seconds": ("day answers median p95", _seconds),
    "llm": ("day status answers", _llm),
    "models": ("number made_at rows held_out hit10 popularity_hit10 worse", _models),
}
TABLES: Final = tuple(_TABLES)
