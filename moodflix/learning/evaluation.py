"""Evaluates the model on held-out choices, beside popularity and the old server's forest."""

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

#: A film that is not in the training rows is a miss, and not in the log loss.
METRICS: Final = ("hit1", "hit5", "hit10", "mrr", "ndcg10", "log_loss", "coverage")
MODELS: Final = ("popularity", "old forest", "ours")
_HELD_OUT: Final = 0.2
_MAX_HELD_OUT: Final = 2_000
_MIN_CHOICES: Final = 10
_TOP: Final = 10
# Lower probabilities count as this one in the log loss.
_MIN_PROBABILITY: Final = 1e-9
_MAX_FOREST_BYTES: Final = 2_000_000_000
_RESAMPLES: Final = 500


class Ranker(Protocol):
    """A model under evaluation."""

    def ranking(self, context: Context) -> Iterable[tuple[str, float]]:
        """Yield (title, probability) over the known films, best first."""
        ...


@dataclass(frozen=True)
class Run:
    """One model on one split: the figures of each held-out row, or a note why there are none."""

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
        """Count the choices of each film."""
        counts = Counter(map(shipped.key_of, chosen))
        self._ranked = [(film, n / len(chosen)) for film, n in counts.most_common()]

    def ranking(self, context: Context) -> Iterable[tuple[str, float]]:  # noqa: ARG002
        """Return (title, share of the choices), best first."""
        return self._ranked


def split_rows(split: Split, contexts: Sequence[Context], seed: int) -> tuple[list[int], list[int]]:
    """Return the training rows and the held-out rows, each in their order.

    ``random`` holds out a fifth of the rows; ``temporal`` a fifth after the training rows, for seed
    0 the newest; ``place`` whole places (cities, else coordinates).

    Raises:
        InvalidInputError: there are too few rows or places.
    """
    count, rng = len(contexts), random.Random(seed)  # noqa: S311 - no secret
    if count < _MIN_CHOICES:
        raise InvalidInputError(f"{_MIN_CHOICES} choices or more are needed to hold some out")
    size = max(1, int(count * _HELD_OUT))
    if split == "random":
        held = set(rng.sample(range(count), size))
    elif split == "temporal":
        begin = count - size if seed == 0 else rng.randint(count // 2, count - size)
        held = set(range(begin, begin + size))
        return list(range(begin)), sorted(held)
    else:
        held = _places(contexts, size, rng)
    return [row for row in range(count) if row not in held], sorted(held)


def _places(contexts: Sequence[Context], size: int, rng: random.Random) -> set[int]:
    rows = defaultdict(list)
    for row, context in enumerate(contexts):
        where = (context["city"].strip().casefold(), "")
        rows[where if where[0] else (context["lat"], context["lon"])].append(row)
    if len(rows) == 1:
        raise InvalidInputError("all choices are from one place; none can be held out")
    places = sorted(rows)
    rng.shuffle(places)
    held = set(rows[places.pop()])
    while len(places) > 1 and len(held) < size:
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
        known, held = split_rows(split, contexts, seed)
        held = held[:: math.ceil(len(held) / _MAX_HELD_OUT)]
        learned = [contexts[row] for row in known], [chosen[row] for row in known]
        questions = [(contexts[row], shipped.key_of(chosen[row])) for row in held]
        for model in MODELS:
            ranker = _fitted(model, *learned)
            yield ranker if isinstance(ranker, Run) else _run(model, ranker, questions, learned[1])


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
    model: str, ranker: Ranker, questions: Sequence[tuple[Context, str]], chosen: Sequence[str]
) -> Run:
    key = shipped.key_of
    known, shown, rows = {key(title) for title in chosen}, set(), []
    for context, wanted in questions:
        place, share = math.inf, math.nan
        for at, (title, probability) in enumerate(ranker.ranking(context), start=1):
            film = key(title)
            if at <= _TOP:
                shown.add(film)
            if film == wanted:
                place, share = at, max(probability, _MIN_PROBABILITY)
            if at >= _TOP and (place <= at or wanted not in known):
                break
        gain = 1 / math.log2(place + 1) if place <= _TOP else 0.0
        hits = [float(place <= top) for top in (1, 5, 10)]
        rows.append([*hits, 1 / place, gain, -math.log(share)])
    return Run(model, rows, len(shown) / len(known))


def _mean(rows: Any) -> Any:
    import numpy as np

    known = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        return np.where(known, rows, 0).sum(axis=0) / known.sum(axis=0)


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
