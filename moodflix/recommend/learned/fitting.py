"""Fits the weights of the counts on held-out rows: random ones and the last ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from typing import Final

import numpy as np

from moodflix.recommend.learned.counts import (
    ALL_TIME,
    EPSILON,
    MAX_CELLS,
    POPULARITIES,
    WIDTH,
    Array,
    Counts,
    Field,
    Plan,
    Rows,
    Weights,
    log_lift,
    shrunk,
)
from moodflix.recommend.learned.likelihood import em, judge, newton, partition

_FOLDS: Final = 5
_MAX_FOLDED_ROWS: Final = 5_000  # with more, one fold is enough
_MAX_HELD_OUT: Final = 4_000  # rows of a fold
_MIN_HELD_OUT: Final = 20  # in all, to learn anything from
_MAX_SINGLES, _MAX_PAIRS, _PAIRED = 10, 4, 6
_SAMPLES: Final = 256  # films drawn to estimate a partition sum
_MAX_JUDGED: Final = 10_000_000  # cells
_MIN_SHARE: Final = 0.01  # of the mixture
_ALPHAS: Final = (2.0, 10.0, 50.0, 250.0)
_KAPPAS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_KAPPA_ROWS: Final = 400  # on which the kappas are fitted
_FIGURES: Final = ("hit10", "ndcg10", "log_loss")  # of ``judge``
_Z_FIELD: Final = 2  # standard errors by which a field must gain
_Z_MODEL: Final = 3  # by which the model must; more, as it is the best of many
_COMPARED: Final = 20_000  # rows on which columns are compared for being equal


@dataclass
class HeldOut:
    """Held-out rows, with weights that add up to 1 over all folds, and counts of the other rows."""

    counts: Counts
    rows: Rows

    def take(self, which: Array | slice) -> HeldOut:
        """Return some of the rows."""
        return HeldOut(self.counts, self.rows.take(which))

    def popular(self) -> Array:
        """Return the share of each row's film."""
        shares: Array = self.counts.shares[ALL_TIME, self.rows.films]
        return shares

    def shares(self, field: Field, alphas: Iterable[float]) -> Iterator[Array]:
        """Yield p(film | value) of each row's film, for each alpha."""
        codes, films, _ = self.rows
        table, values = self.counts.tables[field], self.counts.values(codes, field)
        inside = np.where(values < table.shape[0], values, 0).astype(np.int32)
        chosen = np.asarray(table[inside, films], dtype=np.float32).ravel()
        total, prior = self.counts.total(codes, field), self.counts.prior(field)[films]
        for alpha in alphas:
            yield shrunk(chosen, total, np.float32(alpha), prior)


def fit_weights(plan: Plan, rows: Rows, seed: int) -> tuple[Weights, dict[str, float]]:
    """Return weights fitted on held-out rows, and figures on rows they were not fitted on.

    Rows held out at random and the newest rows count equally: this follows a drift and costs little
    if there is none. Weights and figures are those of popularity unless it is clearly beaten; there
    are no figures if too few rows can be held out.
    """
    return WeightFitter(plan, rows, seed).fit()


class WeightFitter:
    """Fits the weights of one data set; see ``fit_weights``."""

    def __init__(self, plan: Plan, rows: Rows, seed: int) -> None:
        """Fit on ``rows``; the fields of ``plan`` are chosen here."""
        self.plan, self.rows, self.seed = plan, rows, seed
        self.alphas: dict[Field, float] = {}
        self.rng = np.random.default_rng(seed)

    def fit(self) -> tuple[Weights, dict[str, float]]:
        """Return weights and figures."""
        fields = self._screened()
        parts = self._held_out(fields)
        rows = sum(len(held.rows.films) for held in parts)
        if rows < _MIN_HELD_OUT:
            return Weights(), {}
        sampled = MAX_CELLS / (_SAMPLES * (len(fields) + 1)) / rows
        halves: tuple[list[HeldOut], list[HeldOut]] = ([], [])
        samples: tuple[list[HeldOut], list[HeldOut]] = ([], [])
        for held in parts:
            half_of = self.rng.integers(2, size=len(held.rows.films))
            in_sample = self.rng.random(len(half_of)) < sampled
            for half in (0, 1):
                halves[half].append(held.take(half_of == half))
                samples[half].append(held.take((half_of == half) & in_sample))
        tried = (self._tried(base, samples) for base in self.bases(parts, fields))
        _, base, softmaxes = max(tried, key=itemgetter(0))
        judged = [(halves[1 - half], fit_lifts(each, base)) for half, each in enumerate(softmaxes)]
        figures, is_better = self._figures(judged, _MAX_JUDGED / self.plan.films / rows)
        if not is_better:
            return Weights(), figures | {name: figures[f"popularity_{name}"] for name in _FIGURES}
        return fit_lifts(SampledSoftmax.joined(softmaxes), base).trimmed(), figures

    def _splits(self) -> Iterator[list[tuple[Array, Array]]]:
        """Yield, at random and by time, pairs of rows to count and rows held out."""
        rows = np.arange(len(self.rows.films))
        is_large = len(rows) > _MAX_FOLDED_ROWS
        fold_of = np.random.default_rng(self.seed).integers(_FOLDS, size=len(rows))
        folds = range(1 if is_large else _FOLDS)
        yield [(rows[fold_of != fold], rows[fold_of == fold]) for fold in folds]
        bounds = [int(len(rows) * share) for share in ((0.9, 1.0) if is_large else (0.6, 0.8, 1.0))]
        yield [(rows[:first], rows[first:last]) for first, last in pairwise(bounds)]

    def _held_out(self, fields: Sequence[Field]) -> list[HeldOut]:
        plan = replace(self.plan, fields=tuple(fields))
        made = []
        for split in self._splits():
            folds = []
            for counted, held in split:
                if not len(counted):
                    continue
                counts = Counts.of(plan, self.rows.take(counted))
                # A film without counts is unlikely under any weights.
                kept = held[counts.chosen[self.rows.films[held]] > 0]
                if len(kept) > _MAX_HELD_OUT:
                    rng = np.random.default_rng(self.seed)
                    kept = rng.choice(kept, _MAX_HELD_OUT, replace=False)
                if len(kept):
                    folds.append(HeldOut(counts, self.rows.take(kept)))
            total = sum(float(held.rows.weights.sum()) for held in folds)
            for each in folds:
                each.rows = each.rows._replace(weights=each.rows.weights / max(total, EPSILON))
            made += folds
        return made

    def _screened(self) -> list[Field]:
        """Return columns that gain likelihood, and pairs that gain more than either column."""
        gains = self._gains(self._columns())
        singles = _best(gains, _MAX_SINGLES)
        pairs = [
            tuple(sorted((*one, *other)))
            for at, one in enumerate(singles[:_PAIRED])
            for other in singles[at + 1 :]
        ]
        joint = self._gains(sorted(pairs))
        more = {pair: gain - max(gains[at,] for at in pair) for pair, gain in joint.items()}
        return singles + _best(more, _MAX_PAIRS)

    def _columns(self) -> list[Field]:
        """Return the columns that vary and don't repeat an earlier one."""
        newest = self.rows.codes[-_COMPARED:].astype(np.int64)
        sizes: dict[Field, int] = {}
        for column in range(newest.shape[1]):
            size = len(np.unique(newest[:, column]))
            joint = (newest[:, (*one, column)] @ (WIDTH, 1) for one in sizes if sizes[one] == size)
            if size > 1 and not any(len(np.unique(each)) == size for each in joint):
                sizes[column,] = size
        return list(sizes)

    def _gains(self, fields: Sequence[Field]) -> dict[Field, float]:
        """Return the gain in log-likelihood over popularity of each field with a clear one."""
        parts = self._held_out(fields) if fields else []
        if not parts:
            return {}
        popular, weights = _joined((held.popular(), held.rows.weights) for held in parts)
        weights = weights / weights.sum()
        gains: dict[Field, float] = {}
        for field in fields:
            shares = _joined(tuple(held.shares(field, _ALPHAS)) for held in parts)
            for alpha, share in zip(_ALPHAS, shares, strict=True):
                part = em(np.stack([popular, share], axis=1), weights, 15)[1]
                mean, error = _mean(np.log1p(part * (share / popular - 1)), weights)
                if mean > max(_Z_FIELD * error, gains.get(field, 0.0)):
                    gains[field], self.alphas[field] = mean, alpha
        return gains

    def _parts(self, held: HeldOut, fields: Sequence[Field]) -> Array:
        """Return the probability of each row's film under each part of the mixture."""
        parts = [*held.counts.shares[:, held.rows.films]]
        for field in fields:
            parts += held.shares(field, [self.alphas[field]])
        return np.stack(parts, axis=1)

    def bases(self, parts: Sequence[HeldOut], fields: Sequence[Field]) -> Iterator[Weights]:
        """Yield the mixtures to be lifted: popularities with all fields, and popularities alone.

        The first fits better if each choice follows one of several columns, the second if the
        columns act together.
        """
        stacked, weights = _joined((self._parts(held, fields), held.rows.weights) for held in parts)
        alphas, zero = np.array([self.alphas[each] for each in fields]), np.zeros(len(fields))
        for size in dict.fromkeys((len(fields), 0)):
            likely = stacked[:, : POPULARITIES + size]
            shares = em(likely, weights / weights.sum(), prior=2 / len(weights))
            shares[shares < _MIN_SHARE] = 0
            shares = np.append(shares / shares.sum(), zero[size:])
            mixture = shares[POPULARITIES:]
            yield Weights(shares[:POPULARITIES], tuple(fields), mixture, alphas, zero, zero + 1)

    def _tried(
        self, base: Weights, halves: Sequence[Sequence[HeldOut]]
    ) -> tuple[float, Weights, list[SampledSoftmax]]:
        """Return the log-likelihood of each half of the rows, with lifts fitted on the other."""
        softmaxes = [
            SampledSoftmax.joined([SampledSoftmax.drawn(held, base, self.rng) for held in half])
            for half in halves
        ]
        base = replace(base, kappas=fit_kappas(SampledSoftmax.joined(softmaxes).take(_KAPPA_ROWS)))
        gain = 0.0
        for each, other in zip(softmaxes, softmaxes[::-1], strict=True):
            lifted = fit_lifts(each, base)
            gain += float(other.weights @ np.log(other.parts(lifted) @ lifted.blend))
        return gain, base, softmaxes

    def _figures(
        self, judged: Sequence[tuple[Sequence[HeldOut], Weights]], share: float
    ) -> tuple[dict[str, float], bool]:
        """Return figures on a share of the rows, and whether popularity is clearly beaten."""
        found = []
        for parts, weights in judged:
            for held in parts:
                some = held.take(self.rng.random(len(held.rows.films)) < share)
                codes, films, of_rows = some.rows
                model, popular = (
                    judge(each.probabilities(some.counts, codes), films)
                    for each in (weights, Weights())
                )
                found.append(np.stack([of_rows, *model, *popular], axis=1))
        of_rows, *rest = np.concatenate(found).T
        of_rows = of_rows / max(of_rows.sum(), EPSILON)
        names = (*_FIGURES, *(f"popularity_{name}" for name in _FIGURES))
        figures = {name: float(of_rows @ each) for name, each in zip(names, rest, strict=True)}
        gain, error = _mean(rest[5] - rest[2], of_rows)
        hits, hit_error = _mean(rest[0] - rest[3], of_rows)
        is_better = gain > _Z_MODEL * error and hits >= -hit_error
        return {"rows": float(len(of_rows)), **figures}, is_better


@dataclass
class SampledSoftmax:
    """Held-out rows with some films each, the row's own film as the last.

    Attributes:
        chosen, expected: counts of the rows' values with each film (rows x films x fields).
        popular, mixed: shares of the row's own film.
        offset: logarithm of each film's part in the partition sum.
        weights: of the rows.
    """

    chosen: Array
    expected: Array
    popular: Array
    mixed: Array
    offset: Array
    weights: Array

    @classmethod
    def joined(cls, parts: Sequence[SampledSoftmax]) -> SampledSoftmax:
        """Return the rows of several as one."""
        return cls(*_joined(tuple(vars(part).values()) for part in parts))

    @classmethod
    def drawn(cls, held: HeldOut, base: Weights, rng: np.random.Generator) -> SampledSoftmax:
        """Draw films for each row from its mixture, or take all of them when they are few."""
        films, counts = held.counts.plan.films, held.counts
        made = []
        step = max(1, MAX_CELLS // (films * (len(base.fields) + 1)))
        for begin in range(0, max(1, len(held.rows.films)), step):
            part = held.take(slice(begin, begin + step))
            codes, own, weights = part.rows
            chosen = [counts.rows(codes, field) for field in base.fields]
            totals = [counts.total(codes, field)[:, None] for field in base.fields]
            mixed = base.mixed(counts, len(codes), chosen, totals)
            if films <= _SAMPLES:
                picks = np.tile(np.arange(films), (len(mixed), 1))
                offset = np.log(mixed + np.float32(EPSILON))
            else:
                ticks = (rng.random((len(mixed), 1)) + np.arange(_SAMPLES)) / _SAMPLES
                reach = mixed.cumsum(axis=1)
                drawn = map(np.searchsorted, reach, ticks * reach[:, -1:])
                picks = np.array([*drawn], dtype=int).reshape(-1, _SAMPLES).clip(max=films - 1)
                offset = np.full((len(mixed), _SAMPLES), -np.log(_SAMPLES), dtype=np.float32)
            picks = np.concatenate([picks, own[:, None]], axis=1)
            shape = (*picks.shape, len(base.fields))
            observed, expected = np.empty(shape, np.float32), np.empty(shape, np.float32)
            for at, (of_films, total) in enumerate(zip(chosen, totals, strict=True)):
                observed[..., at] = np.take_along_axis(of_films, picks, axis=1)
                expected[..., at] = total * counts.shares[ALL_TIME][picks]
            own_mixed = np.take_along_axis(mixed, own[:, None], axis=1)[:, 0]
            made.append(cls(observed, expected, part.popular(), own_mixed, offset, weights))
        return cls.joined(made)

    def parts(self, weights: Weights) -> Array:
        """Return the share of each row's film in popularity, the mixture, the lifted mixture."""
        lifts = log_lift(self.chosen, self.expected, weights.kappas)
        sums, _ = partition(lifts, self.offset, weights.lifts)
        lift = np.exp(lifts[:, -1] @ weights.lifts - sums)
        return np.stack([self.popular, self.mixed, self.mixed * lift], axis=1)

    def take(self, rows: int) -> SampledSoftmax:
        """Return an evenly spaced sample of about ``rows`` rows."""
        step = max(1, len(self.weights) // rows)
        return SampledSoftmax(*(each[::step] for each in vars(self).values()))


def fit_kappas(softmax: SampledSoftmax) -> Array:
    """Return the shrinkage of each field's lifts with the largest gain at two trial exponents."""
    best, kappas = np.full(softmax.chosen.shape[2], -np.inf), np.ones(softmax.chosen.shape[2])
    shares = np.exp(softmax.offset)[:, None]
    shares /= shares.sum(axis=2, keepdims=True)
    for kappa in _KAPPAS:
        lifts = log_lift(softmax.chosen, softmax.expected, kappa)
        for exponent in (0.3, 1.0):
            sums = np.log(shares @ np.exp(exponent * lifts[:, :-1]))[:, 0]
            gain = softmax.weights @ (exponent * lifts[:, -1] - sums)
            kappas, best = np.where(gain > best, kappa, kappas), np.maximum(gain, best)
    return kappas


def fit_lifts(softmax: SampledSoftmax, base: Weights) -> Weights:
    """Return the weights with exponents of the lifts, and the blend."""
    weights = softmax.weights / softmax.weights.sum()
    lifts = log_lift(softmax.chosen, softmax.expected, base.kappas)
    base = replace(base, lifts=newton(lifts, softmax.offset, weights))
    return replace(base, blend=em(softmax.parts(base), weights, prior=2 / len(weights)))


def _best(gains: dict[Field, float], n: int) -> list[Field]:
    ranked = sorted(gains.items(), key=itemgetter(1), reverse=True)
    return [field for field, gain in ranked[:n] if gain > 0]


def _mean(values: Array, weights: Array) -> tuple[float, float]:
    """Return the weighted mean and its standard error."""
    mean = float(weights @ values)
    return mean, float(np.sqrt(weights**2 @ (values - mean) ** 2))


def _joined(parts: Iterable[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
