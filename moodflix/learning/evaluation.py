"""Evaluates the model on held-out choices, beside popularity and the old server's forest."""

from __future__ import annotations

import importlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final, Literal, Protocol

from moodflix.errors import InvalidInputError
from moodflix.films import shipped, titles
from moodflix.recommend.learned.model import ChoiceModel

Split = Literal["random", "temporal", "place"]
Context = Mapping[str, str]

#: Films that are not in the training rows count as misses, and not in the log loss.
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
    if split == "temporal":
        begin = count - size if seed == 0 else rng.randint(count // 2, count - size)
        return list(range(begin)), list(range(begin, begin + size))
    is_random = split == "random"
    held_out = rng.sample(range(count), size) if is_random else _of_places(contexts, size, rng)
    return sorted({*range(count)}.difference(held_out)), sorted(held_out)


def _of_places(contexts: Sequence[Context], size: int, rng: random.Random) -> set[int]:
    """Return the rows of random places, about ``size``; at least one place is left."""
    rows_of = defaultdict(list)
    for row, context in enumerate(contexts):
        city = context["city"].strip().casefold()
        rows_of[(city, "") if city else (context["lat"], context["lon"])].append(row)
    if len(rows_of) == 1:
        raise InvalidInputError("all choices are from one place; none can be held out")
    places = sorted(rows_of)
    rng.shuffle(places)
    held_out = set(rows_of[places.pop()])
    while len(places) > 1 and len(held_out) < size:
        held_out.update(rows_of[places.pop()])
    return held_out


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
        fitted_on, held_out = split_rows(split, contexts, seed)
        held_out = held_out[:: math.ceil(len(held_out) / _MAX_HELD_OUT)]
        train = [contexts[row] for row in fitted_on], [chosen[row] for row in fitted_on]
        test = [(contexts[row], shipped.key_of(chosen[row])) for row in held_out]
        for model in MODELS:
            ranker = _fitted(model, *train)
            if isinstance(ranker, str):
                yield Run(model, note=ranker)
            else:
                yield _measured(model, ranker, test, {*map(shipped.key_of, train[1])})


def _fitted(model: str, contexts: Sequence[Context], chosen: Sequence[str]) -> Ranker | str:
    """Return a fitted model, or a note why there is none."""
    if model == "ours":
        return ChoiceModel().fit(contexts, chosen)
    if model == "popularity":
        return Popularity(chosen)
    try:
        forest = importlib.import_module("benchmarks.forest")
    except ImportError:
        return "only in a checkout, run from its folder"
    # Each leaf of each tree holds a number for each film.
    size = 50 * len(chosen) * len(set(chosen)) * 8
    if size > _MAX_FOREST_BYTES:
        return f"left out: it would take some {size / 1e9:.0f} GB"
    fitted: Ranker = forest.Forest().fit(contexts, chosen)
    return fitted


def _measured(
    model: str, ranker: Ranker, test: Sequence[tuple[Context, str]], known: set[str]
) -> Run:
    """Return the figures of a model whose training rows have the films ``known``."""
    shown: set[str] = set()
    rows = []
    for context, chosen in test:
        ranking = ((shipped.key_of(title), share) for title, share in ranker.ranking(context))
        top = list(islice(ranking, _TOP))
        shown.update(film for film, _ in top)
        ranks = enumerate(chain(top, ranking if chosen in known else ()), start=1)
        found = ((rank, share) for rank, (film, share) in ranks if film == chosen)
        rank, share = next(found, (math.inf, math.nan))
        hits = [float(rank <= k) for k in (1, 5, 10)]
        gain = 1 / math.log2(rank + 1) if rank <= _TOP else 0.0
        loss = -math.log(max(share, _MIN_PROBABILITY))  # NaN where the share is
        rows.append([*hits, 1 / rank, gain, loss])
    return Run(model, rows, len(shown) / len(known))


def _mean(rows: Any) -> Any:
    """Return the mean of each column over what is known."""
    import numpy as np

    return np.ma.masked_invalid(rows).mean(axis=0).filled(np.nan)


def summary(done: Iterable[Run]) -> list[Result]:
    """Return a result for each model: means over the rows of all its runs, and intervals."""
    import numpy as np

    by_model: dict[str, list[Run]] = {model: [] for model in MODELS}
    for run in done:
        by_model[run.model].append(run)
    results = []
    for model, of_model in by_model.items():
        rows = np.array([row for run in of_model for row in run.rows])
        note = next((run.note for run in of_model if run.note), "")
        if note or not len(rows):
            results.append(Result(model, note=note))
            continue
        rng = np.random.default_rng(0)
        drawn = [_mean(rows[rng.integers(len(rows), size=len(rows))]) for _ in range(_RESAMPLES)]
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0).tolist()
        coverage = (sum(run.coverage for run in of_model) / len(of_model),) * 3
        figures = [*zip(_mean(rows).tolist(), low, high, strict=True), coverage]
        results.append(Result(model, dict(zip(METRICS, figures, strict=True))))
    return results
