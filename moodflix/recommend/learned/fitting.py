"""Fits the weights of the counts on held-out rows: random ones, the last ones, unseen places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from operator import itemgetter
from typing import Final

import numpy as np

from moodflix.recommend.learned.counts import (
    ALL_TIME,
    KINDS,
    TINY,
    WIDTH,
    Array,
    Counts,
    Field,
    Plan,
    Rows,
    Weights,
    is_random_walk,
    log_lift,
)
from moodflix.recommend.learned.likelihood import em, judge, newton, partition

_FOLDS: Final = 5
_MANY: Final = 5_000  # rows of which one fold is enough
_HELD: Final = 4_000  # rows of a fold that are looked at
_ENOUGH: Final = 20  # held-out rows to learn anything from
_SINGLES, _COMBOS, _COMBINED, _DEPTH = 10, 4, 6, 3
_SAMPLES: Final = 256  # films that stand for all in a partition sum
_CELLS: Final = 3_000_000
_JUDGED: Final = 10_000_000
_LEAST: Final = 0.01  # of the mixture
# Alpha and discount of p(film | value).
_SHRINKS: Final = ((2.0, 0.0), (10.0, 0.0), (50.0, 0.0), (250.0, 0.0), (10.0, 0.5), (2.0, 0.75))
_KAPPAS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_TRIED: Final = 400  # rows that choose the shrinkage
_FIGURES: Final = ("hit10", "ndcg10", "log_loss")  # of ``judge``
_CLEAR: Final = 2  # standard errors
_SURE: Final = 3  # of what was chosen as the best of many
_COMPARED: Final = 20_000  # rows that tell whether two columns are one


@dataclass
class HeldOut:
    """Held-out rows, their weights adding up to how much they have to say; counts of the others."""

    counts: Counts
    rows: Rows

    def take(self, which: Array | slice) -> HeldOut:
        """Return some of the rows."""
        return HeldOut(self.counts, self.rows.take(which))

    def popular(self) -> Array:
        """Return the share of each row's film."""
        shares: Array = self.counts.shares[ALL_TIME, self.rows.films]
        return shares

    def shares(self, at: Field, shrinks: Iterable[tuple[float, float]]) -> Iterator[Array]:
        """Yield p(film | value) of each row's film, for each alpha and discount."""
        chosen, total = self.evidence(at)
        table, values = self.counts.tables[at], self.counts.values(self.rows.codes, at)
        for alpha, discount in shrinks:
            kept, rest = chosen, np.float32(alpha)
            if discount and not is_random_walk(at):
                taken = np.minimum(table.data, discount).cumsum()
                ends = np.append(0, taken)[table.indptr]
                kept = np.maximum(chosen - discount, 0)
                of = np.minimum(values, table.shape[0] - 1)
                rest = rest + np.where(total, np.diff(ends)[of], 0)
            yield (kept + rest * self.popular()) / (total + alpha)

    def evidence(self, at: Field) -> tuple[Array, Array]:
        """Return how often each row's film, and any film, went with the row's value."""
        codes, films, _ = self.rows
        table, values = self.counts.tables[at], self.counts.values(codes, at).astype(np.int32)
        total = self.counts.total(codes, at)[:, 0]
        if not is_random_walk(at):
            inside = np.where(values < table.shape[0], values, 0)
            chosen = table[inside, films] if len(films) else np.zeros(0)
            return np.asarray(chosen, dtype=np.float32).ravel(), total
        chosen = np.empty(len(films), dtype=np.float32)
        _, firsts, places = np.unique(values, return_index=True, return_inverse=True)
        step = max(1, _CELLS // self.counts.plan.films)
        for begin in range(0, len(firsts), step):
            spread = self.counts.rows(codes[firsts[begin : begin + step]], at)
            inside = (places >= begin) & (places < begin + step)
            chosen[inside] = spread[places[inside] - begin, films[inside]]
        return chosen, total


class Learner:
    """Fits the weights of one data set's counts on held-out rows; see ``learn``."""

    def __init__(self, plan: Plan, rows: Rows, seed: int, alike: Collection[int]) -> None:
        """Take rows to learn from, and the columns whose values may resemble each other."""
        self.plan, self.rows, self.seed, self.alike = plan, rows, seed, alike
        self.shrinks: dict[Field, tuple[float, float]] = {}
        self.rng = np.random.default_rng(seed)

    def learn(self) -> tuple[Weights, Weights, dict[str, float]]:
        """Return weights for seen and unseen places, held-out figures.

        Half of the say is had by rows held out at random, half by the last ones: a drift is
        followed, and following costs little where there is none.
        """
        plan = replace(self.plan, fields=self._screened())
        known = [*self._held("random", plan), *self._held("last", plan)]
        seen = [held.take(held.counts.seen(held.rows.codes)) for held in known]
        weights, figures = self._weighed(seen, plan.fields)
        if plan.place is None:
            return weights, weights, figures
        unseen = [held.take(~held.counts.seen(held.rows.codes)) for held in known]
        unseen += self._held("place", plan)
        elsewhere, others = self._weighed(unseen, plan.fields)
        # Where each row has a place of its own, none is seen twice.
        return weights, elsewhere, figures or others

    def _splits(self, part: str) -> Iterator[tuple[Array, Array]]:
        """Yield (rows to count, rows held out)."""
        rows = len(self.rows.films)
        every = np.arange(rows)
        folds = 1 if rows > _MANY else _FOLDS
        if part == "last":
            cuts = (0.9, 1.0) if folds == 1 else (0.6, 0.8, 1.0)
            for first, last in pairwise(int(rows * cut) for cut in cuts):
                yield every[:first], every[first:last]
            return
        groups = self.rows.codes[:, self.plan.place].astype(int) if part == "place" else every
        fold_of = np.random.default_rng(self.seed).integers(_FOLDS, size=groups.max() + 1)[groups]
        for fold in range(folds):
            yield every[fold_of != fold], every[fold_of == fold]

    def _held(self, part: str, plan: Plan) -> list[HeldOut]:
        made = []
        for counted, held in self._splits(part):
            if not len(counted):
                continue
            counts = Counts.of(plan, self.rows.take(counted))
            # No weight makes a film likely that was never chosen before.
            kept = held[counts.kinds[ALL_TIME, self.rows.films[held]] > 0]
            if len(kept) > _HELD:
                kept = np.random.default_rng(self.seed).choice(kept, _HELD, replace=False)
            if len(kept):
                made.append(HeldOut(counts, self.rows.take(kept)))
        total = sum(float(held.rows.weights.sum()) for held in made)
        for each in made:
            each.rows = each.rows._replace(weights=each.rows.weights / max(total, TINY))
        return made

    def _screened(self) -> tuple[Field, ...]:
        """Return the fields that say something by themselves, or more together than apart."""
        columns = self._columns()
        gains = self._gains(columns)
        chosen = latest = _best(gains, _SINGLES)
        likes = [(*at, *at) for at in columns if at[0] in self.alike and at in gains]
        like = _best(self._gains(likes), 1)
        for depth in range(2, _DEPTH + 1):
            joint = (tuple(sorted({*at, *one})) for at in latest for one in chosen[:_COMBINED])
            parts = {at: [*combinations(at, depth - 1)] for at in joint if len(at) == depth}
            least = {at: max(gains.get(part, 0.0) for part in parts[at]) for at in parts}
            further = self._gains(sorted(parts))
            latest = _best({at: gain - least[at] for at, gain in further.items()}, _COMBOS)
            gains |= further
            chosen = [*chosen, *latest]
        return (*chosen, *like)

    def _columns(self) -> list[Field]:
        """Return the columns that vary, none that only repeats an earlier one."""
        newest = self.rows.codes[-_COMPARED:].astype(np.int64)
        sizes: dict[Field, int] = {}
        for column in range(newest.shape[1]):
            size = len(np.unique(newest[:, column]))
            whole = (newest[:, (*one, column)] @ (WIDTH, 1) for one in sizes if sizes[one] == size)
            if size > 1 and not any(len(np.unique(each)) == size for each in whole):
                sizes[column,] = size
        return list(sizes)

    def _gains(self, fields: Sequence[Field]) -> dict[Field, float]:
        """Return how much likelier than popularity each field makes rows, if it clearly does."""
        plan = replace(self.plan, fields=tuple(fields))
        base = [*self._held("random", plan), *self._held("last", plan)]
        if not base or not fields:
            return {}
        popular, say = _joint((held.popular(), held.rows.weights) for held in base)
        say = say / say.sum()
        gains: dict[Field, float] = {}
        for at in fields:
            every = _joint(tuple(held.shares(at, _SHRINKS)) for held in base)
            for shrink, share in zip(_SHRINKS, every, strict=True):
                part = em(np.stack([popular, share], axis=1), say, 15)[1]
                gain = np.log1p(part * (share / popular - 1))
                mean, error = _mean(gain, say)
                if mean > max(_CLEAR * error, gains.get(at, 0.0)):
                    gains[at], self.shrinks[at] = mean, shrink
        return gains

    def _parts(self, held: HeldOut, fields: Sequence[Field]) -> Array:
        """Return the probability of each row's film under each part of the mixture."""
        parts = [*held.counts.shares[:, held.rows.films]]
        for at in fields:
            parts += held.shares(at, [self.shrinks[at]])
        return np.stack(parts, axis=1)

    def _weighed(
        self, parts: Sequence[HeldOut], fields: tuple[Field, ...]
    ) -> tuple[Weights, dict[str, float]]:
        """Return weights, popularity's unless they beat it on rows they were not learned on."""
        rows = sum(len(held.rows.films) for held in parts)
        if rows < _ENOUGH:
            return Weights(), {}
        few = _CELLS / (_SAMPLES * (len(fields) + 1)) / rows
        sides: tuple[list[HeldOut], list[HeldOut]] = ([], [])
        picked: tuple[list[HeldOut], list[HeldOut]] = ([], [])
        for held in parts:
            side = self.rng.integers(2, size=len(held.rows.films))
            pick = self.rng.random(len(side)) < few
            for which in (0, 1):
                sides[which].append(held.take(side == which))
                picked[which].append(held.take((side == which) & pick))
        tried = (self._tried(base, picked) for base in self._bases(parts, fields))
        _, base, probes = max(tried, key=itemgetter(0))
        judged = [(sides[1 - at], fit_lifts(probe, base)) for at, probe in enumerate(probes)]
        figures, beaten = self._figures(judged, _JUDGED / self.plan.films / rows)
        if not beaten:
            return Weights(), figures | {name: figures[f"popularity_{name}"] for name in _FIGURES}
        return fit_lifts(SampledSoftmax.joined(probes), base).trimmed(), figures

    def _bases(self, parts: Sequence[HeldOut], fields: tuple[Field, ...]) -> Iterator[Weights]:
        """Yield what may be lifted: a mixture of popularities and all fields, or of the former.

        Where each of several columns is followed at times the first is likelier, where they act
        at once the second.
        """
        stacked, say = _joint((self._parts(held, fields), held.rows.weights) for held in parts)
        shrinks = np.array([self.shrinks[at] for at in fields]).reshape(-1, 2).T
        zero = np.zeros(len(fields))
        for size in dict.fromkeys((len(fields), 0)):
            shares = em(stacked[:, : KINDS + size], say / say.sum(), prior=2 / len(say))
            shares[shares < _LEAST] = 0
            shares = np.append(shares / shares.sum(), zero[size:])
            rest = (fields, shares[KINDS:], *shrinks, zero, zero + 1)
            yield Weights(shares[:KINDS], *rest)

    def _tried(
        self, base: Weights, sides: Sequence[Sequence[HeldOut]]
    ) -> tuple[float, Weights, list[SampledSoftmax]]:
        """Return how likely a base, when lifted, makes rows it was not lifted by."""
        probes = [
            SampledSoftmax.joined([probed(held, base, self.rng) for held in side]) for side in sides
        ]
        base = replace(base, kappas=shrinkage(SampledSoftmax.joined(probes).take(_TRIED)))
        gains = (
            other.say @ np.log(other.parts(weights) @ weights.blend)
            for weights, other in zip(
                (fit_lifts(each, base) for each in probes), probes[::-1], strict=True
            )
        )
        return float(sum(gains)), base, probes

    def _figures(
        self, judged: Sequence[tuple[Sequence[HeldOut], Weights]], few: float
    ) -> tuple[dict[str, float], bool]:
        """Return figures on some of the rows, and whether popularity is clearly beaten."""
        told = []
        for parts, weights in judged:
            for held in parts:
                take = held.take(self.rng.random(len(held.rows.films)) < few)
                codes, films, say = take.rows
                model, popular = (
                    judge(each.probabilities(take.counts, codes), films)
                    for each in (weights, Weights())
                )
                told.append(np.stack([say, *model, *popular], axis=1))
        say, *rest = np.concatenate(told).T
        say = say / max(say.sum(), TINY)
        every = (*_FIGURES, *(f"popularity_{name}" for name in _FIGURES))
        figures = {name: float(say @ each) for name, each in zip(every, rest, strict=True)}
        gain, error = _mean(rest[5] - rest[2], say)
        hits, doubt = _mean(rest[0] - rest[3], say)
        beaten = gain > _SURE * error and hits >= -doubt
        return {"rows": float(len(say)), **figures}, beaten


@dataclass
class SampledSoftmax:
    """Held-out rows with some films each, the row's own film as the last.

    Attributes:
        chosen, expected: counts of the rows' values with each film (rows x films x fields).
        popular, mixed: shares of the row's own film.
        offset: logarithm of each film's part in the partition sum.
        say: how much each row has to say.
    """

    chosen: Array
    expected: Array
    popular: Array
    mixed: Array
    offset: Array
    say: Array

    @classmethod
    def joined(cls, probes: Sequence[SampledSoftmax]) -> SampledSoftmax:
        """Return the rows of several probes as one."""
        return cls(*_joint(tuple(vars(probe).values()) for probe in probes))

    def parts(self, weights: Weights) -> Array:
        """Return the share of each row's film in popularity, the mixture, the lifted mixture."""
        lifts = log_lift(self.chosen, self.expected, weights.kappas)
        sums, _ = partition(lifts, self.offset, weights.lifts)
        lift = np.exp(lifts[:, -1] @ weights.lifts - sums)
        return np.stack([self.popular, self.mixed, self.mixed * lift], axis=1)

    def take(self, rows: int) -> SampledSoftmax:
        """Return an evenly spaced sample of about ``rows`` rows."""
        return SampledSoftmax(
            *(each[:: max(1, len(self.say) // rows)] for each in vars(self).values())
        )


def probed(held: HeldOut, base: Weights, rng: np.random.Generator) -> SampledSoftmax:
    """Draw films for each row from its mixture, or take all of them when they are few."""
    size, counts = held.counts.plan.films, held.counts
    probes = []
    step = max(1, _CELLS // (size * (len(base.fields) + 1)))
    for begin in range(0, max(1, len(held.rows.films)), step):
        part = held.take(slice(begin, begin + step))
        codes, films, say = part.rows
        seen = [counts.rows(codes, at) for at in base.fields]
        mixed = base.mixed(counts, codes, seen)
        if size <= _SAMPLES:
            picks = np.tile(np.arange(size), (len(mixed), 1))
            offset = np.log(mixed + np.float32(TINY))
        else:
            ticks = (rng.random((len(mixed), 1)) + np.arange(_SAMPLES)) / _SAMPLES
            reach = mixed.cumsum(axis=1)
            drawn = map(np.searchsorted, reach, ticks * reach[:, -1:])
            picks = np.array([*drawn], dtype=int).reshape(-1, _SAMPLES).clip(max=size - 1)
            offset = np.full((len(mixed), _SAMPLES), -np.log(_SAMPLES), dtype=np.float32)
        picks = np.concatenate([picks, films[:, None]], axis=1)
        shape = (*picks.shape, len(base.fields))
        chosen, expected = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for place, at in enumerate(base.fields):
            chosen[..., place] = np.take_along_axis(seen[place], picks, axis=1)
            expected[..., place] = counts.total(codes, at) * counts.shares[ALL_TIME][picks]
        own = np.take_along_axis(mixed, films[:, None], axis=1)[:, 0]
        probes.append(SampledSoftmax(chosen, expected, part.popular(), own, offset, say))
    return SampledSoftmax.joined(probes)


def shrinkage(probe: SampledSoftmax) -> Array:
    """Return the shrinkage of each field's lifts under which a first small step gains most."""
    best, kappas = np.full(probe.chosen.shape[2], -np.inf), np.ones(probe.chosen.shape[2])
    shares = np.exp(probe.offset)[:, None]
    shares /= shares.sum(axis=2, keepdims=True)
    for kappa in _KAPPAS:
        lifts = log_lift(probe.chosen, probe.expected, kappa)
        for exponent in (0.3, 1.0):
            sums = np.log(shares @ np.exp(exponent * lifts[:, :-1]))[:, 0]
            gain = probe.say @ (exponent * lifts[:, -1] - sums)
            kappas, best = np.where(gain > best, kappa, kappas), np.maximum(gain, best)
    return kappas


def fit_lifts(probe: SampledSoftmax, base: Weights) -> Weights:
    """Return the weights with exponents of the lifts, and the blend."""
    say = probe.say / probe.say.sum()
    lifts = log_lift(probe.chosen, probe.expected, base.kappas)
    base = replace(base, lifts=newton(lifts, probe.offset, say))
    return replace(base, blend=em(probe.parts(base), say, prior=2 / len(say)))


def _best(gains: dict[Field, float], most: int) -> list[Field]:
    return sorted((at for at in gains if gains[at] > 0), key=lambda at: -gains[at])[:most]


def _mean(values: Array, say: Array) -> tuple[float, float]:
    mean = float(say @ values)
    return mean, float(np.sqrt(say**2 @ (values - mean) ** 2))


def _joint(each: Iterable[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(np.concatenate(arrays) for arrays in zip(*each, strict=True))
