"""How well the model ranks choices it has not seen, beside popularity and the old forest."""

from __future__ import annotations

import importlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from moodflix.errors import InvalidInputError
from moodflix.films import shipped, titles
from moodflix.recommend.learned.model import ChoiceModel

Split = Literal["random", "temporal", "place"]
Context = Mapping[str, str]

#: hit rates, MRR and NDCG@10 count a film never seen before as missed; log loss leaves it out.
METRICS: Final = ("hit1", "hit5", "hit10", "mrr", "ndcg10", "log_loss", "coverage")
MODELS: Final = ("popularity", "old forest", "ours")
_HELD_OUT: Final = 0.2
_MAX_HELD_OUT: Final = 2_000
_FEWEST: Final = 10
_TOP: Final = 10
# Log loss takes a lower probability for this one.
_LEAST: Final = 1e-9
_MAX_FOREST_BYTES: Final = 2_000_000_000
_RESAMPLES: Final = 500


class Ranker(Protocol):
    """What is compared."""

    def ranking(self, context: Context) -> Iterable[tuple[str, float]]:
        """Yield (title, probability) over the known films, best first."""
        ...


@dataclass(frozen=True)
class Run:
    """One model on one split: a list of figures for each held-out row, or why there are none."""

    model: str
    rows: list[list[float]] = field(default_factory=list)
    coverage: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class Result:
    """One model: metric -> (value, low and high end of its 95 % bootstrap interval)."""

    model: str
    figures: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    note: str = ""


class Popularity:
    """Ranks by how often a film was chosen, whatever the context."""

    def __init__(self, chosen: Sequence[str]) -> None:
        """Count."""
        counts = Counter(map(shipped.key_of, chosen))
        self._ranked = [(film, n / len(chosen)) for film, n in counts.most_common()]

    def ranking(self, context: Context) -> Iterable[tuple[str, float]]:  # noqa: ARG002
        """Return (title, share of the choices), best first."""
        return self._ranked


def cut(split: Split, contexts: Sequence[Context], seed: int) -> tuple[list[int], list[int]]:
    """Return which rows are learned from and which are held out; both stay in their order.

    ``random`` holds out a fifth of the rows; ``temporal`` the fifth that follows a moment, which
    leaves the newest fifth for seed 0; ``place`` whole places (cities, else coordinates).

    Raises:
        InvalidInputError: there are too few rows or places.
    """
    count, rng = len(contexts), random.Random(seed)  # noqa: S311 - no secret
    if count < _FEWEST:
        raise InvalidInputError(f"{_FEWEST} choices or more are needed to hold some out")
    few = max(1, int(count * _HELD_OUT))
    if split == "random":
        held = set(rng.sample(range(count), few))
    elif split == "temporal":
        begin = count - few if seed == 0 else rng.randint(count // 2, count - few)
        held = set(range(begin, begin + few))
        return list(range(begin)), sorted(held)
    else:
        held = _places(contexts, few, rng)
    return [row for row in range(count) if row not in held], sorted(held)


def _places(contexts: Sequence[Context], few: int, rng: random.Random) -> set[int]:
    rows = defaultdict(list)
    for row, context in enumerate(contexts):
        where = (context["city"].strip().casefold(), "")
        rows[where if where[0] else (context["lat"], context["lon"])].append(row)
    if len(rows) == 1:
        raise InvalidInputError("all choices are from one place; none can be held out")
    places = sorted(rows)
    rng.shuffle(places)
    held = set(rows[places.pop()])
    while len(places) > 1 and len(held) < few:
        held.update(rows[places.pop()])
    return held


def runs(
    contexts: Sequence[Context], chosen: Sequence[str], split: Split, seeds: int
) -> Iterator[Run]:
    """Yield a run for each seed and each of ``MODELS``, over rows in time order.

    Raises:
        InvalidInputError: there are too few rows or places.
    """
    rows = [row for row, title in enumerate(chosen) if titles.key(title)]
    contexts, chosen = [contexts[row] for row in rows], [chosen[row] for row in rows]
    for seed in range(seeds):
        known, held = cut(split, contexts, seed)
        held = held[:: math.ceil(len(held) / _MAX_HELD_OUT)]
        learned = [contexts[row] for row in known], [chosen[row] for row in known]
        asked = [(contexts[row], shipped.key_of(chosen[row])) for row in held]
        for model in MODELS:
            ranker = _fitted(model, *learned)
            yield ranker if isinstance(ranker, Run) else _run(model, ranker, asked, learned[1])


def _fitted(model: str, contexts: Sequence[Context], chosen: Sequence[str]) -> Ranker | Run:
    if model == "ours":
        return ChoiceModel().fit(contexts, chosen)
    if model == "popularity":
        return Popularity(chosen)
    try:
        forest = importlib.import_module("benchmarks.forest")
    except ImportError:
        return Run(model, note="only in a checkout, run from its folder")
    # Each leaf of each tree holds a number for each film.
    size = 50 * len(chosen) * len(set(chosen)) * 8
    if size > _MAX_FOREST_BYTES:
        return Run(model, note=f"left out: it would take some {size / 1e9:.0f} GB")
    fitted: Ranker = forest.Forest().fit(contexts, chosen)
    return fitted


def _run(
    model: str, ranker: Ranker, asked: Sequence[tuple[Context, str]], chosen: Sequence[str]
) -> Run:
    key = shipped.key_of
    known, shown, rows = {key(title) for title in chosen}, set(), []
    for context, wanted in asked:
        place, share = math.inf, math.nan
        for at, (title, probability) in enumerate(ranker.ranking(context), start=1):
            film = key(title)
            if at <= _TOP:
                shown.add(film)
            if film == wanted:
                place, share = at, max(probability, _LEAST)
            if at >= _TOP and (place <= at or wanted not in known):
                break
        gain = 1 / math.log2(place + 1) if place <= _TOP else 0.0
        hits = [float(place <= top) for top in (1, 5, 10)]
        rows.append([*hits, 1 / place, gain, -math.log(share)])
    return Run(model, rows, len(shown) / len(known))


def _mean(rows: Any) -> Any:
    import numpy as np

    told = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        return np.where(told, rows, 0).sum(axis=0) / told.sum(axis=0)


def summary(done: Iterable[Run]) -> list[Result]:
    """Return a result for each model: means over the rows of all its runs, and intervals."""
    import numpy as np

    by_model: dict[str, list[Run]] = {model: [] for model in MODELS}
    for run in done:
        by_model[run.model].append(run)
    results = []
    for model, its_runs in by_model.items():
        note = next((run.note for run in its_runs if run.note), "")
        rows: Any = np.array([row for run in its_runs for row in run.rows])
        if note or not len(rows):
            results.append(Result(model, note=note))
            continue
        rng = np.random.default_rng(0)
        drawn = [_mean(rows[rng.integers(len(rows), size=len(rows))]) for _ in range(_RESAMPLES)]
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        figures = zip(_mean(rows).tolist(), low.tolist(), high.tolist(), strict=True)
        covered = (sum(run.coverage for run in its_runs) / len(its_runs),) * 3
        results.append(Result(model, dict(zip(METRICS, [*figures, covered], strict=True)), note))
    return results
