"""Choices with a planted truth: seeded, in the ten columns, and an oracle that knows the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

WORDS: Mapping[str, tuple[str, ...]] = {
    "today_status": ("work", "holiday"),
    "tomorrow_status": ("work", "holiday"),
    "weekday": tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()),
    "weather_desc": ("clear sky", "clouds", "light rain", "snow", "fog", "storm"),
    "temperature": tuple(str(degrees) for degrees in range(-10, 35)),
    "mood": tuple("angry disgust fear happy sad surprise neutral".split()),
    "tone": tuple("excited subdued neutral happy angry sad".split()),
}
_PERIODS = 24
_CHUNK = 2_000


@dataclass(frozen=True)
class Plan:
    """How choices come about.

    Attributes:
        rows, films: how many.
        effects: column (``city`` too) -> how strongly its values tilt the films' logits.
        shares: column -> share of the choices that follow its value alone, whatever else holds.
        cities: how many there are; each has a place and a share of the rows like Zipf's law.
        fame: exponent of the films' popularity.
        drift: how far popularity wanders over the whole time.
        rare: share of the rows that choose among all films alike.
        pairs: how strongly mood and weather together tilt.
        missing: share of the values that are not known.
        codes: values are bare codes ("ITEM-3") instead of words.
    """

    rows: int
    films: int
    effects: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    cities: int = 1
    fame: float = 1.0
    drift: float = 0.0
    rare: float = 0.0
    pairs: float = 0.0
    missing: float = 0.0
    codes: bool = False


class Planted:
    """Rows drawn from a plan, in time order.

    Attributes:
        contexts: the ten columns as text; titles: the film chosen in each; films: all of them.
    """

    def __init__(self, plan: Plan, seed: int = 0) -> None:
        """Draw everything."""
        rng = np.random.default_rng(seed)
        self.plan = plan
        self.films = [f"Film {place:05d}" for place in range(plan.films)]
        fame = -plan.fame * np.log(np.arange(1, plan.films + 1))
        steps = rng.normal(size=(_PERIODS, plan.films)) * plan.drift / np.sqrt(_PERIODS)
        self._fame = fame + steps.cumsum(axis=0)
        sizes = {name: len(words) for name, words in WORDS.items()} | {"city": plan.cities}
        self._drawn = {
            name: rng.integers(size, size=plan.rows)
            for name, size in sizes.items()
            if name != "city"
        }
        crowd = 1 / np.arange(1, plan.cities + 1) ** 0.7
        self._drawn["city"] = rng.choice(plan.cities, size=plan.rows, p=crowd / crowd.sum())
        self._tilts = {
            name: strength * self._taste(rng, sizes[name])
            for name, strength in plan.effects.items()
        }
        self._own = {
            name: np.exp(2.5 * self._taste(rng, sizes[name]) + fame) for name in plan.shares
        }
        self._pairs = plan.pairs * self._taste(rng, sizes["mood"] * sizes["weather_desc"])
        self.chosen = np.empty(plan.rows, dtype=np.int64)
        for begin in range(0, plan.rows, _CHUNK):
            rows = np.arange(begin, min(begin + _CHUNK, plan.rows))
            reach = self.oracle(rows).cumsum(axis=1)
            drawn = rng.random((len(rows), 1)) * reach[:, -1:]
            self.chosen[rows] = np.minimum((reach < drawn).sum(axis=1), plan.films - 1)
        self.titles = [self.films[film] for film in self.chosen]
        self.contexts = self._contexts(rng)

    def oracle(self, rows: Array) -> Array:
        """Return the true probabilities (rows x films) of some rows."""
        plan = self.plan
        logits: Array = self._fame[rows * _PERIODS // plan.rows].copy()
        for name, tilts in self._tilts.items():
            logits += tilts[self._drawn[name][rows]]
        if plan.pairs:
            words = len(WORDS["weather_desc"])
            logits += self._pairs[
                self._drawn["mood"][rows] * words + self._drawn["weather_desc"][rows]
            ]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        made: Array = (1 - plan.rare - sum(plan.shares.values())) * shares + plan.rare / plan.films
        for name, share in plan.shares.items():
            own = self._own[name][self._drawn[name][rows]]
            made += share * own / own.sum(axis=1, keepdims=True)
        return made

    def _taste(self, rng: np.random.Generator, values: int) -> Array:
        return rng.normal(size=(values, self.plan.films)).astype(np.float32)

    def _contexts(self, rng: np.random.Generator) -> list[dict[str, str]]:
        plan = self.plan
        city = self._drawn["city"]
        columns = {
            "city": [f"City {at}" for at in city],
            "lat": [f"{-60 + at * 7919 % 1200 / 10:.2f}" for at in city],
            "lon": [f"{-170 + at * 104729 % 3400 / 10:.2f}" for at in city],
        }
        for name, words in WORDS.items():
            drawn = self._drawn[name]
            columns[name] = [f"ITEM-{at}" if plan.codes else words[at] for at in drawn]
        if plan.missing:
            for values in columns.values():
                for at in np.flatnonzero(rng.random(plan.rows) < plan.missing):
                    values[at] = ""
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]


_MILD = {"mood": 0.6, "weather_desc": 0.4, "weekday": 0.4}

#: name -> plan of as many rows and films as asked for.
PLANS: Mapping[str, Callable[[int, int], Plan]] = {
    "drifting tastes": lambda rows, films: Plan(rows, films, _MILD, drift=2.0),
    "day of week": lambda rows, films: Plan(rows, films, {"weekday": 1.0, "today_status": 0.5}),
    "rare films": lambda rows, films: Plan(rows, films, _MILD, fame=0.6, rare=0.3),
    "one city": lambda rows, films: Plan(
        rows, films, {"mood": 1.0, "tone": 0.7, "weather_desc": 0.5}
    ),
    "many cities": lambda rows, films: Plan(
        rows, films, {"city": 2.0, "mood": 0.5}, cities=max(3, rows // 100)
    ),
    "habits": lambda rows, films: Plan(
        rows, films, shares={"city": 0.5, "mood": 0.2}, cities=max(3, rows // 50)
    ),
    "pairs": lambda rows, films: Plan(rows, films, {"mood": 0.3}, pairs=1.2),
    "codes": lambda rows, films: Plan(
        rows, films, {"city": 1.0, "tone": 0.8}, cities=30, missing=0.3, codes=True
    ),
    "pure noise": lambda rows, films: Plan(rows, films, cities=20),
}
