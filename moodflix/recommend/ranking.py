"""What every recommender is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from moodflix import titles

# The names under which answers, logs and reasons know the recommenders.
CATALOGUE, CONTEXT, LLM = "catalogue", "context", "llm"


@dataclass(frozen=True)
class Query:
    """One evening: the ten context columns as text (blank is unknown) and what else is known.

    Attributes:
        context: city, lat, lon, today_status, tomorrow_status, weekday, weather_desc,
            temperature, mood, tone.
        hour: hour of the day at the station, 0-23.
        words: how the person puts it; never stored.
        liked: titles the person named as a hint of taste.
        excluded: spelling keys that must not be recommended (the liked ones included).
    """

    context: Mapping[str, str] = field(default_factory=dict)
    hour: int | None = None
    words: str = ""
    liked: Sequence[str] = ()
    excluded: Collection[str] = frozenset()


@dataclass(frozen=True)
class Pick:
    """One recommended film; ``score`` compares only within one list.

    ``known`` is false for a film of the LLM's that the table of films doesn't hold.
    """

    title: str
    year: int | None = None
    score: float = 0.0
    why: str = ""
    known: bool = True

    @property
    def key(self) -> str:
        """Spelling key of the title."""
        return titles.key(self.title)


class Recommender(Protocol):
    """Anything that ranks films for an evening."""

    @property
    def name(self) -> str:
        """Name under which answers and logs know it."""
        ...

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Return at most ``n`` picks, best first, no film twice, none of ``query.excluded``.

        Raises:
            RecommenderError: it can't answer now; the text says why.
        """
        ...


def admissible(picks: Iterable[Pick], query: Query) -> Iterator[Pick]:
    """Yield the picks that may be shown: each spelling once, none that is excluded."""
    seen = set(query.excluded)
    for pick in picks:
        if pick.key and pick.key not in seen:
            seen.add(pick.key)
            yield pick
