"""Which traits of a film suit which evening, by the table in ``data/policy.csv``.

The weight of a trait is what a film gains for having it; ``docs/policy.md`` shows the whole table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final

from moodflix import data, vocabulary
from moodflix.recommend.query import Query
from moodflix.vocabulary import Intent

FILE: Final = "policy.csv"
Traits = Mapping[str, float]

# First day of each season, as month and day; a blank name is none.
_SEASONS: Final = (
    ("01-01", "new-year"),
    ("01-02", ""),
    ("02-14", "valentine"),
    ("02-15", ""),
    ("10-28", "halloween"),
    ("11-01", ""),
    ("11-25", "advent"),
    ("12-10", "christmas"),
    ("12-27", "new-year"),
)


@cache
def table() -> Mapping[tuple[str, str, str], Traits]:
    """Return the weights of traits under (when, value, direction)."""
    found: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for row in data.table(FILE):
        found[row["when"], row["value"], row["direction"]][row["trait"]] = float(row["weight"])
    return dict(found)


def for_mood(mood: str, intent: Intent) -> Traits:
    """Return what suits a mood: repairing it, staying with it, or the table's mix of both."""
    mix: Traits = table()["mood", mood, "auto"] if intent == "auto" else {intent: 1.0}
    return _sum([{t: w * mix[way] for t, w in table()["mood", mood, way].items()} for way in mix])


def for_evening(query: Query) -> Traits:
    """Return what suits the weather, the day, the hour and the voice."""
    when_and_value = (("any", "any"), *_circumstances(query))
    return _sum([table().get((when, value or "", ""), {}) for when, value in when_and_value])


def season(date: str) -> str:
    """Return christmas, advent, new-year, halloween, valentine or nothing for an ISO date."""
    day = date[5:]
    return next((name for first, name in reversed(_SEASONS) if first <= day), "")


def _circumstances(query: Query) -> Iterator[tuple[str, str | None]]:
    evening = vocabulary.evening(query.context, query.hour)
    for name in ("tone", "weather", "temperature", "hour"):
        yield name, evening[name]
    yield "season", season(query.date)
    today, tomorrow, weekday = evening["today"], evening["tomorrow"], evening["weekday"]
    # A day set by hand wins over the weekday.
    if tomorrow == "holiday" or (tomorrow is None and weekday in ("friday", "saturday")):
        yield "day", "eve-of-rest"
    if tomorrow == "work" or (tomorrow is None and weekday == "sunday"):
        yield "day", "eve-of-work"
    if today == "holiday" or (today is None and weekday in ("saturday", "sunday")):
        yield "day", "rest-today"


def _sum(parts: Iterable[Traits]) -> Traits:
    total: dict[str, float] = defaultdict(float)
    for part in parts:
        for trait, weight in part.items():
            total[trait] += weight
    return total
