"""Stations through 90 days of seeded visitors with hidden tastes: who names what they would take?

Acceptance at 5 is the share of evenings on which at least one of the first five films is one that
the visitor would take. Each kind of station sees the same visitors, and learns from the choices
made there. ``.venv/bin/python -m benchmarks.simulate`` prints a table and writes
``benchmarks/results/simulate.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
from scipy import stats  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits

from moodflix import clock
from moodflix.films import shipped
from moodflix.instance import Instance
from moodflix.recommend.answer import OFF, answer_of
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.recommend.query import Query, Recommender
from moodflix.simulation import (
    FILMS_SHOWN,
    ScriptedLlm,
    Showing,
    SimulatedStation,
    Visit,
    Visitors,
    simulate,
)
from moodflix.store import migration
from moodflix.store.database import Database
from moodflix.vocabulary import HAND

RESULTS = Path(__file__).parent / "results" / "simulate.json"
QUALITIES = (0.2, 0.6)
PERIODS = {"days 1-7": (0, 7), "days 8-30": (7, 30), "days 31-90": (30, 90)}
DAYS, VISITORS, AT = 90, 4, 5
_FIRST_DAY = date(2026, 1, 5)
_REFIT_DAYS = 14


class Station(Showing, Protocol):
    """What shows films, and learns at night."""

    def refit(self, now: Any) -> None:
        """Refit what was learned."""
        ...

    def refit_weights(self) -> None:
        """Refit the weights of the recommenders."""
        ...


class Alone:
    """One recommender and nothing else; it learns each choice, if it can."""

    def __init__(self, recommender: Recommender | ScriptedLlm) -> None:
        """Take the recommender."""
        self._recommender = recommender
        self._rows: list[tuple[Mapping[str, str], str]] = []

    def show(self, visit: Visit) -> list[str]:
        """Return titles, best first."""
        query = Query(visit.context, hour=visit.now.hour, date=visit.now.date().isoformat())
        if isinstance(self._recommender, ScriptedLlm):
            self._recommender.visit = visit
            picks = answer_of(self._recommender.ask(query, FILMS_SHOWN)).picks
        else:
            picks = self._recommender.rank(query, FILMS_SHOWN)
        return [pick.title for pick in picks]

    def choose(self, visit: Visit, title: str) -> None:
        """Learn from a choice."""
        self._rows.append((visit.context, title))
        if isinstance(self._recommender, LearnedRecommender):
            model = self._recommender.model.updated([visit.context], [title])
            self._recommender.model = model

    def refit(self, now: object) -> None:
        """Fit the model anew."""
        del now
        if isinstance(self._recommender, LearnedRecommender):
            self._recommender.model = ChoiceModel().fit(*zip(*self._rows, strict=True))

    def refit_weights(self) -> None:
        """Have no weights."""


class OldRule(Alone):
    """All titles ever logged, the most frequent first; then the LLM's."""

    def show(self, visit: Visit) -> list[str]:
        """Return titles, best first."""
        logged = [title for title, _ in Counter(title for _, title in self._rows).most_common()]
        films = logged if len(logged) >= FILMS_SHOWN else logged + super().show(visit)
        return films[:FILMS_SHOWN]


def stations(folder: Path) -> Iterator[tuple[str, Station]]:
    """Yield each kind of station with its name."""
    migrated = folder / "moodflix.sqlite3"
    database = Database(f"sqlite:///{migrated}")
    migration.upgrade(database)
    database.close_as_single_file()
    catalogue = Catalogue()

    def fusion(name: str, script: ScriptedLlm) -> SimulatedStation:
        place = folder / name
        place.mkdir()
        file = shutil.copy(migrated, place)
        database = Database(f"sqlite:///{file}", durable=False)
        return SimulatedStation(database, Instance(place), catalogue, script)

    yield "catalogue only", Alone(catalogue)
    yield "learned only", Alone(LearnedRecommender())
    yield "fusion, no LLM", fusion("none", ScriptedLlm(0, {OFF: 1.0}))
    for quality in QUALITIES:
        yield f"LLM {quality} only", Alone(ScriptedLlm(quality))
        yield f"old rule, LLM {quality}", OldRule(ScriptedLlm(quality))
        yield f"fusion, LLM {quality}", fusion(str(quality), ScriptedLlm(quality))


def run(seed: int) -> dict[str, dict[int, list[bool]]]:
    """Return for each kind of station, day by day, at which visits one of five would be taken."""
    threadpool_limits(1)
    visitors = Visitors(seed, (VISITORS, VISITORS), {HAND: 1.0})
    dates = [_FIRST_DAY + timedelta(day) for day in range(DAYS)]
    days = [list(visitors.of_day(day, each)) for day, each in enumerate(dates)]
    found: dict[str, dict[int, list[bool]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, station in stations(Path(folder)):
            found[name] = {}
            for day, visits in enumerate(days):
                found[name][day] = [
                    any(shipped.key_of(title) in visit.takes for title in shown[:AT])
                    for visit, shown in simulate(visits, station)
                ]
                station.refit_weights()
                if day % _REFIT_DAYS == _REFIT_DAYS - 1:
                    station.refit(clock.start_of(dates[day] + timedelta(1), None))
    return found


def table(
    runs: Sequence[Mapping[str, Mapping[int, Sequence[bool]]]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean and half of the 95 % interval over stations, by kind and period."""
    made: dict[str, dict[str, tuple[float, float]]] = {}
    for name in runs[0]:
        made[name] = {
            period: _interval([_share(each[name], days) for each in runs])
            for period, days in PERIODS.items()
        }
    return made


def differences(
    runs: Sequence[Mapping[str, Mapping[int, Sequence[bool]]]],
) -> dict[str, dict[str, Any]]:
    """Return, for each fusion and period, how far it is from the best of its rivals."""
    made: dict[str, dict[str, Any]] = {}
    for fusion in (name for name in runs[0] if name.startswith("fusion")):
        llm = fusion.partition(", LLM ")[2]
        rivals = [
            name
            for name in runs[0]
            if "fusion" not in name and ("LLM" not in name or (llm and llm in name))
        ]
        for period, days in PERIODS.items():
            shares = {
                name: [_share(each[name], days) for each in runs] for name in (fusion, *rivals)
            }
            best = max(rivals, key=lambda name: float(np.mean(shares[name])))
            mean, half = _interval(np.subtract(shares[fusion], shares[best]).tolist())
            made.setdefault(fusion, {})[period] = {"best rival": best, "ahead": mean, "half": half}
    return made


def _share(hits: Mapping[int, Sequence[bool]], days: tuple[int, int]) -> float:
    return float(np.mean([hit for day in range(*days) for hit in hits[day]]))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    t = float(stats.t.ppf(0.975, len(values) - 1))
    return float(np.mean(values)), t * float(np.std(values, ddof=1)) / len(values) ** 0.5


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(run, range(arguments.seed, arguments.seed + arguments.stations)))
    click.echo(f"{'acceptance at 5, %':24}" + "".join(f"{period:>16}" for period in PERIODS))
    shares = table(runs)
    for name, row in shares.items():
        cells = "".join(f"{100 * mean:9.1f} ± {100 * half:4.1f}" for mean, half in row.values())
        click.echo(f"{name:24}{cells}")
    ahead = differences(runs)
    for name, by_period in ahead.items():
        for period, each in by_period.items():
            click.echo(
                f"{name}, {period}: {100 * each['ahead']:+.1f} ± {100 * each['half']:.1f} "
                f"against {each['best rival']}"
            )
    seconds = time.monotonic() - started
    click.echo(
        f"{arguments.stations} stations, {DAYS} days, {VISITORS} visitors a day: {seconds:.0f} s"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"seconds": seconds, "shares": shares, "ahead": ahead}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
