"""What each part of the learned model adds to its hit rate at 10 on planted choices.

Run it from the checkout with ``.venv/bin/python -m benchmarks.ablation`` (two minutes on one core).
Each part is left out in turn, and each kind of planted choices is drawn with two seeds. It writes
``benchmarks/results/ablation.json`` and the table of ``docs/ablation.md``, and fails if a part adds
less than a point of hit rate to each of them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Final
from unittest import mock

import click
import numpy as np

from benchmarks.planted import PLANS, Array, Plan, Planted
from moodflix.films import titles
from moodflix.recommend.learned import counts, estimator, fitting
from moodflix.recommend.learned.counts import Field
from moodflix.recommend.learned.likelihood import metrics
from moodflix.recommend.learned.model import ChoiceModel
from moodflix.recommend.learned.weights import Weights
from tests.server import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "ablation.json"
PAGE: Final = ROOT / "docs" / "ablation.md"
ROWS, FILMS, HELD_OUT, SEEDS = 5_000, 200, 3_000, (1, 2)
POINT: Final = 0.01
NEW_PLACES: Final = ", new places"
FAST_DRIFT: Final = "fast drift"
#: name of a set of choices -> its plan; some are asked for places that were never seen.
SETS: Final[Mapping[str, Callable[[int, int], Plan]]] = {
    **{name: PLANS[name] for name in PLANS if name != "pure noise"},
    FAST_DRIFT: lambda rows, films: Plan(rows, films, {"mood": 0.4}, drift=4.0),
    **{f"{name}{NEW_PLACES}": PLANS[name] for name in ("many cities", "habits")},
}


@contextmanager
def _without_mean_over_places() -> Iterator[None]:
    finish = counts.Counts.__post_init__

    def finished(self: counts.Counts) -> None:
        self.over_places = self.chosen
        finish(self)

    with mock.patch.object(counts.Counts, "__post_init__", finished):
        yield


def _only_popularities(folds: Sequence[fitting.HeldOut], fields: Sequence[Field]) -> Weights:
    mixture, none = fit_mixture(folds, ()), np.zeros(len(fields))
    return replace(mixture, fields=tuple(fields), mixture=none, exponents=none)


def _without_lifts(lifts: Array, *_: Array) -> Array:
    return np.zeros(lifts.shape[2])


fit_mixture = fitting.fit_mixture
PARTS: Final[Mapping[str, Callable[[], AbstractContextManager[Any]]]] = {
    "recent popularity": lambda: mock.patch.object(estimator, "_DRIFT", 1e-9),
    "mean over places": _without_mean_over_places,
    "pairs of columns": lambda: mock.patch.object(fitting, "_MAX_PAIRS", 0),
    "p(film \\| value) in the mixture": lambda: mock.patch.object(
        fitting, "fit_mixture", _only_popularities
    ),
    "lifts": lambda: mock.patch.object(fitting, "fit_exponents", _without_lifts),
}


def hit_rates(name: str, seed: int) -> dict[str, float]:
    """Return the hit rate at 10 of the whole model ("whole") and without each part."""
    planted = Planted(SETS[name](ROWS + HELD_OUT, FILMS), seed)
    held_out = _held_out(name, planted, np.random.default_rng(seed))
    known = np.setdiff1d(np.arange(ROWS + HELD_OUT), held_out)
    contexts, chosen = ([rows[row] for row in known] for rows in (planted.contexts, planted.titles))
    questions = [planted.contexts[row] for row in held_out]
    rates = {}
    for part, left_out in {"whole": nullcontext, **PARTS}.items():
        with left_out():
            model = ChoiceModel().fit(contexts, chosen)
            shares = np.hstack(
                [model.pipeline.predict_proba(questions), np.zeros((len(questions), 1))]
            )
        films = [model.films.get(titles.key(film), -1) for film in planted.films]
        rates[part] = float(metrics(shares[:, films], planted.chosen[held_out])[0].mean())
    return rates


def _held_out(name: str, planted: Planted, rng: np.random.Generator) -> Array:
    rows = np.arange(ROWS + HELD_OUT)
    if planted.plan.drift:
        return rows[ROWS:]
    if not name.endswith(NEW_PLACES):
        return np.sort(rng.choice(rows, HELD_OUT, replace=False))
    city = np.array([context["city"] for context in planted.contexts])
    cities = rng.permutation(np.unique(city))
    sizes = [int((city == each).sum()) for each in cities]
    enough = int(np.searchsorted(np.cumsum(sizes), HELD_OUT)) + 1
    return np.flatnonzero(np.isin(city, cities[:enough]))


def _table(rates: Mapping[str, list[dict[str, float]]]) -> str:
    lines = [f"| left out | {' | '.join(rates)} |", "|---" * (1 + len(rates)) + "|"]
    whole = " | ".join(f"{_mean(of, 'whole'):.1%}" for of in rates.values())
    lines.append(f"| nothing | {whole} |")
    for part in PARTS:
        changes = (100 * (_mean(of, part) - _mean(of, "whole")) for of in rates.values())
        lines.append(f"| {part} | {' | '.join(f'{change:+.1f}' for change in changes)} |")
    return "\n".join(lines) + "\n"


def _mean(rates: list[dict[str, float]], part: str) -> float:
    return sum(each[part] for each in rates) / len(rates)


@click.command()
def main() -> None:
    """Print and write the table; exit with 1 if a part earns no point anywhere."""
    rates: dict[str, list[dict[str, float]]] = {}
    for name in SETS:
        rates[name] = [hit_rates(name, seed) for seed in SEEDS]
        click.echo(f"{name}: {json.dumps(rates[name])}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rates, indent=2) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    start, end = "<!-- ablation -->\n", "<!-- /ablation -->"
    made = re.sub(f"{start}.*?{end}", lambda _: start + _table(rates) + end, page, flags=re.DOTALL)
    PAGE.write_text(made, encoding="utf-8")
    click.echo(_table(rates))
    idle = [
        part
        for part in PARTS
        if all(_mean(of, "whole") - _mean(of, part) < POINT for of in rates.values())
    ]
    click.echo(f"parts that add no point anywhere: {', '.join(idle) or 'none'}")
    sys.exit(1 if idle else 0)


if __name__ == "__main__":
    main()
