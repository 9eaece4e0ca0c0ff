"""The traits of films: which of them a film has, and which suit an evening.

A trait is ``kind:value`` (``mood:sad``, ``theme:rain``, ``director:bong-joon-ho``) or one of
``NUMERIC_TRAITS``, each about -1 to 1. The weight of a trait is what a film gains for having it;
for moods and evenings the weights are in ``data/policy.csv``, which ``docs/policy.md`` shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from moodflix import data
from moodflix.films.shipped import ShippedFilm
from moodflix.perception.wishes import Traits
from moodflix.perception.words import slug
from moodflix.recommend.query import Query
from moodflix.vocabulary import Intent

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]


NUMERIC_TRAITS: Final = ("pace", "warmth", "darkness", "renown", "length", "age")
# Genres and themes count less the later they come in a film's list; further countries and
# languages count much less than the first.
_WEIGHT_BY_POSITION: Final = (1.0, 0.95, 0.85, 0.75, 0.7, 0.65, 0.6, 0.6)
_FURTHER_WEIGHT: Final = 0.4
POLICY: Final = "policy.csv"
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


def film_traits(film: ShippedFilm) -> dict[str, float]:
    """Return the traits of a film, each with its amount."""
    traits = {f"mood:{mood}": weight for mood, weight in film.moods.items()}
    for kind, values in (("genre", film.genres), ("theme", film.themes)):
        traits |= {
            f"{kind}:{value}": weight
            for value, weight in zip(values, _WEIGHT_BY_POSITION, strict=False)
        }
    for kind, values in (("country", film.countries), ("language", film.languages)):
        traits |= dict.fromkeys((f"{kind}:{value}" for value in values), _FURTHER_WEIGHT)
        traits[f"{kind}:{values[0]}"] = 1.0
    names = [f"director:{slug(name)}" for name in film.directors]
    names += [f"tone:{film.tone}", f"decade:{film.year // 10 * 10}"]
    names += [f"series:{film.series}"] if film.series else []
    steps = {name: (getattr(film, name) - 3) / 2 for name in NUMERIC_TRAITS[:4]}
    length = min(max((film.runtime - 110) / 40, -1.5), 2.0)
    age = min(max((1990 - film.year) / 30, -1.2), 1.5)
    return traits | dict.fromkeys(names, 1.0) | steps | {"length": length, "age": age}


@cache
def policy() -> Mapping[tuple[str, str, str], Traits]:
    """Return the weights of traits by (when, value, direction)."""
    weights: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for row in data.table(POLICY):
        weights[row["when"], row["value"], row["direction"]][row["trait"]] = float(row["weight"])
    return dict(weights)


def for_mood(mood: str, intent: Intent) -> Traits:
    """Return weights for a mood: for repairing it, staying with it, or the table's mix of both."""
    mix: Traits = policy()["mood", mood, "auto"] if intent == "auto" else {intent: 1.0}
    return _sum(
        {trait: weight * share for trait, weight in policy()["mood", mood, direction].items()}
        for direction, share in mix.items()
    )


def for_evening(query: Query) -> Traits:
    """Return weights for the weather, the day, the hour and the voice."""
    when_and_value = (("any", "any"), *_circumstances(query))
    return _sum(policy().get((when, value or "", ""), {}) for when, value in when_and_value)


def season(date: str) -> str:
    """Return christmas, advent, new-year, halloween, valentine or ``""`` for an ISO date."""
    day = date[5:]
    return next((name for first, name in reversed(_SEASONS) if first <= day), "")


def _circumstances(query: Query) -> Iterator[tuple[str, str | None]]:
    """Yield what is known of an evening as (when, value) of the policy."""
    evening = query.evening
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


class TraitTable:
    """A sparse matrix of the traits of all films: ``films[i]`` has ``amounts[i]`` of ``traits[i]``.

    Its entries are in the order of traits. It needs NumPy alone: importing SciPy takes longer than
    the rest of a start.

    Attributes:
        columns: the number of each trait.
    """

    def __init__(self, films: Sequence[ShippedFilm]) -> None:
        """Collect the traits of the films."""
        import numpy as np

        by_film = [film_traits(film) for film in films]
        names = sorted({trait for traits in by_film for trait in traits})
        self.columns = {trait: number for number, trait in enumerate(names)}
        traits = [self.columns[trait] for traits in by_film for trait in traits]
        order = np.argsort(np.array(traits, dtype=np.int32), kind="stable")
        lengths = [len(traits) for traits in by_film]
        self._count = len(films)
        self.traits: Array = np.array(traits, dtype=np.int32)[order]
        self.films: Array = np.repeat(np.arange(len(films), dtype=np.int32), lengths)[order]
        amounts = [amount for traits in by_film for amount in traits.values()]
        self.amounts: Array = np.array(amounts, dtype=np.float32)[order]
        self._starts = np.searchsorted(self.traits, np.arange(len(names) + 1))

    def __len__(self) -> int:
        """Return the number of films."""
        return self._count

    def entries(self, weights: Mapping[str, float]) -> list[tuple[str, float, slice]]:
        """Return each trait that a film has, with its weight and the slice of its entries."""
        starts = self._starts
        return [
            (trait, weight, slice(*starts[self.columns[trait] : self.columns[trait] + 2]))
            for trait, weight in weights.items()
            if trait in self.columns
        ]

    def sums(self, weights: Array, amounts: Array | None = None) -> Array:
        """Return for each film the sum of its traits' amounts times their weights."""
        import numpy as np

        amounts = self.amounts if amounts is None else amounts
        sums: Array = np.bincount(self.films, weights[self.traits] * amounts, len(self))
        return sums

    def rarity(self, present: Array) -> Array:
        """Return the inverse document frequency of each trait, counting the entries in ``present``.

        Smoothed as scikit-learn does: ``ln((1 + films) / (1 + films with it)) + 1``.
        """
        import numpy as np

        counts = np.bincount(self.traits[present], minlength=len(self.columns))
        rarity: Array = np.log((1 + len(self)) / (1 + counts)) + 1
        return rarity

    def tf_idf(self, scale: Mapping[str, float], otherwise: float) -> Array:
        """Return the entries as TF-IDF, scaled by the kind of trait, each film of unit length."""
        import numpy as np

        kinds = np.array([scale.get(name.partition(":")[0], otherwise) for name in self.columns])
        weights = kinds * self.rarity(np.ones(len(self.traits), dtype=bool))
        entries = self.amounts * weights[self.traits]
        lengths = np.sqrt(np.bincount(self.films, entries**2, len(self)))
        unit: Array = entries / lengths[self.films]
        return unit
