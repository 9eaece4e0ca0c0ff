"""Fits the weights of the counts on held-out choices.

Columns that tell something of the film are chosen first, then pairs of them; the mixture is fitted
by EM, and the exponents of the lifts as those of a conditional logit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from moodflix.recommend.learned.counts import (
    ALL_TIME,
    EPSILON,
    POPULARITIES,
    WIDTH,
    Array,
    Counts,
    Field,
    Plan,
    Rows,
)
from moodflix.recommend.learned.likelihood import em, fit_exponents, metrics
from moodflix.recommend.learned.weights import Weights, log_lift, smoothed

_FEW_ROWS: Final = 1_000
_FOLDS: Final = 5
_MAX_FOLDED_ROWS: Final = 5_000  # with more, one fold is enough
_MAX_HELD_OUT: Final = 4_000  # rows of a fold
_MIN_HELD_OUT: Final = 20  # in all, to learn anything from
_MAX_SINGLES: Final = 10  # fields of one column
_MAX_PAIRS: Final = 4  # fields of two columns
_MAX_PAIRED: Final = 6  # the best columns, which are tried in pairs
_SAMPLES: Final = 256  # films drawn to estimate a partition sum
_MAX_SAMPLED: Final = 3_000_000  # lifts in memory
_MAX_MEASURED: Final = 10_000_000  # probabilities from which the figures are made
_MIN_SHARE: Final = 0.01  # of the mixture
_METRICS: Final = ("hit10", "ndcg10", "log_loss")
_Z_FIELD: Final = 2  # standard errors by which a field must gain
_Z_MODEL: Final = 3  # by which the model must; more, as it is the best of many
_COMPARED_ROWS: Final = 20_000  # rows on which columns are compared for being equal


@dataclass
class HeldOut:
    """Held-out rows, and counts of other rows."""

    counts: Counts
    rows: Rows

    def sample(self, share: float, rng: np.random.Generator) -> HeldOut:
        """Return a random share of the rows."""
        return HeldOut(self.counts, self.rows.take(rng.random(len(self.rows.films)) < share))

    def halves(self, rng: np.random.Generator) -> Iterator[HeldOut]:
        """Yield two random halves of the rows."""
        half_of = rng.integers(2, size=len(self.rows.films))
        return (HeldOut(self.counts, self.rows.take(half_of == half)) for half in (0, 1))

    def shares(self, field: Field) -> Array:
        """Return p(film | value of the field) for each row's film."""
        codes, films, _ = self.rows
        table, values = self.counts.tables[field], self.counts.values(codes, field)
        of_films = np.asarray(table[values, films], dtype=np.float32).ravel()
        of_values = np.asarray(table.sum(axis=1), dtype=np.float32).ravel()[values]
        return smoothed(of_films, of_values, self.counts.prior(field)[films])

    def components(self, fields: Sequence[Field]) -> Array:
        """Return each row's film's share in each component of a mixture (rows x components)."""
        popularities = self.counts.popularities[:, self.rows.films]
        return np.stack([*popularities, *map(self.shares, fields)], axis=1)


def fit_weights(plan: Plan, rows: Rows, seed: int) -> tuple[Weights, dict[str, float]]:
    """Return weights fitted on held-out rows, and figures on rows they were not fitted on.

    Later rows are held out and predicted from earlier ones. Weights and figures are those of
    popularity unless it is clearly beaten; there are no figures if too few rows can be held out.
    """
    rng = np.random.default_rng(seed)
    splits = [*_splits(rows, rng)]
    total = sum(len(held_out.films) for _, held_out in splits)
    if total < _MIN_HELD_OUT:
        return Weights(), {}

    def folds_of(fields: Sequence[Field]) -> list[HeldOut]:
        with_fields = replace(plan, fields=tuple(fields))
        return [HeldOut(Counts.of(with_fields, counted), later) for counted, later in splits]

    fields = _select_fields(_distinct_columns(rows.codes), folds_of)
    folds = folds_of(fields)
    mixture = fit_mixture(folds, fields)
    sampled_share = _MAX_SAMPLED / (_SAMPLES * (len(fields) + 1)) / total
    measured_share = _MAX_MEASURED / plan.films / total
    halves = [*zip(*(held_out.halves(rng) for held_out in folds), strict=True)]
    softmaxes = [
        SampledSoftmax.joined(
            SampledSoftmax.drawn(held_out.sample(sampled_share, rng), mixture, rng)
            for held_out in half
        )
        for half in halves
    ]
    # Each half is measured with the exponents of the other.
    of_halves = [
        _metrics(
            softmax.fitted(mixture), [held_out.sample(measured_share, rng) for held_out in half]
        )
        for softmax, half in zip(softmaxes[::-1], halves, strict=True)
    ]
    figures, is_better = _figures(np.concatenate(of_halves))
    if not is_better:
        return Weights(), figures | {name: figures[f"popularity_{name}"] for name in _METRICS}
    return SampledSoftmax.joined(softmaxes).fitted(mixture).trimmed(), figures


def _splits(rows: Rows, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Yield earlier rows to count, and later ones whose films are predicted from them.

    Few rows are held out at random as well, each once, to have enough.
    """
    count = len(rows.films)
    shares = (0.9, 1.0) if count > _MAX_FOLDED_ROWS else (0.4, 0.6, 0.8, 1.0)
    bounds = pairwise(int(count * share) for share in shares)
    splits = [(rows.take(slice(first)), rows.take(slice(first, last))) for first, last in bounds]
    if count <= _FEW_ROWS:
        fold_of = rng.integers(_FOLDS, size=count)
        folds = (fold_of == fold for fold in range(_FOLDS))
        splits += [(rows.take(~fold), rows.take(fold)) for fold in folds]
    for counted, held_out in splits:
        # A film without counts is unlikely under any weights.
        kept = np.flatnonzero(np.isin(held_out.films, counted.films[counted.weights > 0]))
        if len(kept) > _MAX_HELD_OUT:
            kept = rng.choice(kept, _MAX_HELD_OUT, replace=False)
        if len(kept):
            yield counted, held_out.take(kept)


def _distinct_columns(codes: Array) -> list[Field]:
    """Return the columns that vary, without those that always vary with an earlier one."""
    newest = codes[-_COMPARED_ROWS:].astype(np.int64)
    sizes: dict[Field, int] = {}
    for column in range(newest.shape[1]):
        size = len(np.unique(newest[:, column]))
        joint = (newest[:, (*one, column)] @ (WIDTH, 1) for one in sizes if sizes[one] == size)
        if size > 1 and not any(len(np.unique(each)) == size for each in joint):
            sizes[column,] = size
    return list(sizes)


def _select_fields(
    columns: Sequence[Field], folds_of: Callable[[Sequence[Field]], list[HeldOut]]
) -> list[Field]:
    """Return the columns that gain most over popularity, and the pairs that gain more than both."""
    singles = _gains(folds_of(columns))
    fields = _best(singles, _MAX_SINGLES)
    pairs = {
        tuple(sorted((*one, *other)))
        for at, one in enumerate(fields[:_MAX_PAIRED])
        for other in fields[at + 1 :]
    }
    joint = _gains(folds_of(sorted(pairs)))
    more = {pair: gain - max(singles[at,] for at in pair) for pair, gain in joint.items()}
    return fields + _best(more, _MAX_PAIRS)


def _gains(folds: Sequence[HeldOut]) -> dict[Field, float]:
    """Return the gain in log-likelihood over popularity of each field with a clear one."""
    popular = np.concatenate([each.components(())[:, ALL_TIME] for each in folds])
    weights = _row_weights(folds)
    gains: dict[Field, float] = {}
    for field in folds[0].counts.plan.fields:
        shares = np.concatenate([held_out.shares(field) for held_out in folds])
        part = em(np.stack([popular, shares], axis=1), weights, 15)[1]
        mean, error = _mean(np.log1p(part * (shares / popular - 1)), weights)
        if mean > _Z_FIELD * error:
            gains[field] = mean
    return gains


def _best(gains: dict[Field, float], n: int) -> list[Field]:
    ranked = sorted(gains, key=gains.__getitem__, reverse=True)
    return [field for field in ranked[:n] if gains[field] > 0]


def fit_mixture(folds: Sequence[HeldOut], fields: Sequence[Field]) -> Weights:
    """Return weights with the mixture that makes the held-out films likeliest."""
    components = np.concatenate([each.components(fields) for each in folds])
    weights = _row_weights(folds)
    shares = em(components, weights, prior=2 / len(weights))
    shares[shares < _MIN_SHARE] = 0
    shares /= shares.sum()
    popularities, mixture = shares[:POPULARITIES], shares[POPULARITIES:]
    return Weights(popularities, tuple(fields), mixture, np.zeros(len(fields)))


@dataclass
class SampledSoftmax:
    """Held-out rows with some candidate films each, and the row's own film as the last.

    Attributes:
        lifts: logarithms of the lifts (rows x films x fields).
        offset: logarithm of each candidate's part in the partition sum without lifts.
        weights: of the rows.
    """

    lifts: Array
    offset: Array
    weights: Array

    @classmethod
    def joined(cls, parts: Iterable[SampledSoftmax]) -> SampledSoftmax:
        """Return the rows of several as one."""
        arrays = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, arrays))

    @classmethod
    def drawn(cls, held_out: HeldOut, mixture: Weights, rng: np.random.Generator) -> SampledSoftmax:
        """Draw films for each row from its mixture, or take all of them when they are few.

        Drawn with the probabilities of the mixture, each stands for an equal part of the sum
        (importance sampling, Bengio and Senecal 2003).
        """
        counts, popular = held_out.counts, held_out.counts.popularities[ALL_TIME]
        films = counts.plan.films
        made = []
        for chunk in counts.plan.chunks(max(1, len(held_out.rows.films))):
            codes, own, weights = held_out.rows.take(chunk)
            dense = [counts.dense(codes, field) for field in mixture.fields]
            mixed = np.broadcast_to(mixture.mixed(counts, dense), (len(codes), films))
            if films <= _SAMPLES:
                picks = np.tile(np.arange(films), (len(codes), 1))
                offset = np.log(mixed + np.float32(EPSILON))
            else:
                ticks = (rng.random((len(codes), 1)) + np.arange(_SAMPLES)) / _SAMPLES
                reach = mixed.cumsum(axis=1)
                drawn = map(np.searchsorted, reach, ticks * reach[:, -1:])
                picks = np.array([*drawn], dtype=int).reshape(-1, _SAMPLES).clip(max=films - 1)
                offset = np.full(picks.shape, -np.log(_SAMPLES), dtype=np.float32)
            picks = np.concatenate([picks, own[:, None]], axis=1)
            lifts = np.empty((*picks.shape, len(dense)), dtype=np.float32)
            for at, (of_films, of_value) in enumerate(dense):
                of_picks = np.take_along_axis(of_films, picks, axis=1)
                lifts[..., at] = log_lift(of_picks, of_value * popular[picks])
            made.append(cls(lifts, offset, weights))
        return cls.joined(made)

    def fitted(self, mixture: Weights) -> Weights:
        """Return the weights with the exponents that make the rows' films likeliest."""
        weights = self.weights / self.weights.sum()
        return replace(mixture, exponents=fit_exponents(self.lifts, self.offset, weights))


def _metrics(weights: Weights, folds: Sequence[HeldOut]) -> Array:
    """Return each row's weight, the metrics of the model and those of popularity."""
    measured = []
    for counts, (codes, films, of_rows) in ((each.counts, each.rows) for each in folds):
        ours, popular = (
            metrics(each.probabilities(counts, codes), films) for each in (weights, Weights())
        )
        measured.append(np.stack([of_rows, *ours, *popular], axis=1))
    return np.concatenate(measured)


def _figures(measured: Array) -> tuple[dict[str, float], bool]:
    """Return the means of ``_metrics``, and whether popularity is clearly beaten."""
    weights, *columns = measured.T
    weights = weights / max(weights.sum(), EPSILON)
    names = (*_METRICS, *(f"popularity_{name}" for name in _METRICS))
    figures = {name: float(weights @ each) for name, each in zip(names, columns, strict=True)}
    hit, _, loss, popular_hit, _, popular_loss = columns
    gain, error = _mean(popular_loss - loss, weights)
    hits, hit_error = _mean(hit - popular_hit, weights)
    is_better = gain > _Z_MODEL * error and hits >= -hit_error
    return {"rows": float(len(weights)), **figures}, is_better


def _row_weights(folds: Sequence[HeldOut]) -> Array:
    weights = np.concatenate([held_out.rows.weights for held_out in folds])
    weights /= weights.sum()
    return weights


def _mean(values: Array, weights: Array) -> tuple[float, float]:
    """Return the weighted mean and its standard error."""
    mean = float(weights @ values)
    return mean, float(np.sqrt(weights**2 @ (values - mean) ** 2))
