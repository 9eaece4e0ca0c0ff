"""Sparse counts of film x value, and the probabilities that a set of weights makes of them.

A film's probability is a blend of three: its popularity; a mixture of popularities (of all time, of
late, over places) and of p(film | value) per field; and that mixture times weighted lifts
p(film | value) / p(film). Each p(film | value) is shrunk to popularity, so that a value never seen
says nothing. A field is one column of the value codes, or several taken together; one column twice
is what values like a row's own go with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]

Array = np.ndarray[Any, np.dtype[Any]]
Field = tuple[int, ...]

WIDTH: Final = 1 << 16  # value codes of a column
DECAYS: Final = 4
# Popularities: of all time, DECAYS of late, over places.
KINDS: Final = DECAYS + 2
ALL_TIME: Final = 0
TINY: Final = 1e-12
_CELLS: Final = 2_000_000
_WALKED: Final = 100_000  # rows, the newest
_BLOCKS: Final = 64  # of rows in which tastes stand still


class Rows(NamedTuple):
    """Rows in time order: value codes (rows x columns), films, weights."""

    codes: Array
    films: Array
    weights: Array

    def take(self, which: Array | slice) -> Rows:
        """Return some of the rows."""
        return Rows(*(each[which] for each in self))


@dataclass(frozen=True)
class Plan:
    """What to count.

    Attributes:
        films: how many there are.
        place: the column that says where a row is from.
        drifts: of the popularities of late, the variance a row adds to the logarithm of a share.
        fields: those whose values are counted.
    """

    films: int
    place: int | None
    drifts: tuple[float, ...]
    fields: tuple[Field, ...] = ()


@dataclass
class Counts:
    """How often each film was chosen, in all and with each value of each field.

    Attributes:
        kinds: how often each film was chosen, and the sum of its shares over places.
        late: shapes and rates of the films' gamma distributions (2 x drifts x films).
        tables: sparse counts, values x films; value 0, unknown, is empty.
        combos: what the values of a field of several columns stand for.
        places: which values of the plan's place were seen.
    """

    plan: Plan
    kinds: Array
    late: Array
    tables: dict[Field, Any]
    combos: dict[Field, Array]
    places: Array

    def __post_init__(self) -> None:
        kinds = np.array([self.kinds[0], *(self.late[0] / self.late[1]), self.kinds[1]])
        sums = np.maximum(kinds.sum(axis=1, keepdims=True), TINY)
        self.shares = (kinds / sums).astype(np.float32)
        self.totals = {
            at: np.asarray(each.sum(axis=1), dtype=np.float32).ravel()
            for at, each in self.tables.items()
        }
        self.chosen = {
            at: np.maximum(np.asarray(each.sum(axis=0), dtype=np.float32).ravel(), TINY)
            for at, each in self.tables.items()
            if is_random_walk(at)
        }

    @classmethod
    def of(cls, plan: Plan, rows: Rows, combos: dict[Field, Array] | None = None) -> Counts:
        """Count rows of value codes; combinations other than ``combos`` are left out."""
        codes, films, weights = rows
        if combos is None:
            combos = {at: np.unique(joined(codes, at)) for at in plan.fields if at[0] != at[-1]}
        chosen = np.bincount(films, weights, plan.films)
        late = np.ones((2, len(plan.drifts), plan.films))
        late[1] = chosen.sum() / np.maximum(chosen, 1)
        late = _followed(late, plan, rows.take(slice(-_WALKED, None)))
        place = codes[:, plan.place] if plan.place is not None else np.zeros(len(codes), dtype=int)
        by_place = _table(place, films, weights, plan.films)
        totals = np.asarray(by_place.sum(axis=1)).ravel()
        spread = (1 / np.maximum(totals, 1)) @ by_place if by_place.nnz else chosen
        tables = {}
        for at in plan.fields:
            newest = slice(-_WALKED if is_random_walk(at) else 0, None)
            values = _values(codes, at, combos)[newest]
            tables[at] = _table(values, films[newest], weights[newest], plan.films)
        return cls(plan, np.array([chosen, spread]), late, tables, combos, totals > 0)

    def plus(self, rows: Rows, size: int) -> Counts:
        """Return counts with further rows, of ``size`` films; new combinations wait for ``of``."""
        plan, known = replace(self.plan, films=size), self.plan.films
        further = Counts.of(plan, rows, self.combos)
        kinds = further.kinds
        kinds[1] = 0  # over places is for ``of`` as well
        kinds[:, :known] += self.kinds
        late = np.ones((2, len(plan.drifts), size))
        late[1] = kinds[0].sum()
        late[..., :known] = self.late
        late = _followed(late, plan, rows)
        tables = {at: _sum(table, further.tables[at]) for at, table in self.tables.items()}
        places = np.zeros(max(len(self.places), len(further.places)), dtype=bool)
        for each in (self.places, further.places):
            places[: len(each)] |= each
        return Counts(plan, kinds, late, tables, self.combos, places)

    def values(self, codes: Array, at: Field) -> Array:
        """Return each row's value code of a field."""
        return _values(codes, at, self.combos)

    def rows(self, codes: Array, at: Field) -> Array:
        """Return the counts of each film with each row's value (rows x films).

        Where the field walks they are spread to the films of values that share films: a random
        walk of three steps on the graph of values and films (Cooper et al. 2014).
        """
        table = self.tables[at]
        dense = np.zeros((len(codes), self.plan.films), dtype=np.float32)
        for row, value in enumerate(self.values(codes, at)):
            if value < table.shape[0]:
                span = slice(table.indptr[value], table.indptr[value + 1])
                dense[row, table.indices[span]] = table.data[span]
        if not is_random_walk(at):
            return dense
        reached = table @ (dense / self.chosen[at]).T
        reached /= np.maximum(self.totals[at], TINY)[:, None]
        spread: Array = (table.T @ reached).T
        return spread

    def total(self, codes: Array, at: Field) -> Array:
        """Return the count of each row's value (rows x 1)."""
        values, known = self.values(codes, at), self.totals[at]
        return np.where(values < len(known), known[np.minimum(values, len(known) - 1)], 0)[:, None]

    def seen(self, codes: Array) -> Array:
        """Return which rows are from a place that was counted; all are where there is none."""
        if self.plan.place is None:
            return np.ones(len(codes), dtype=bool)
        place = codes[:, self.plan.place]
        inside: Array = place < len(self.places)
        return inside & self.places[np.where(inside, place, 0)]


@dataclass
class Weights:
    """How much each part counts; the default is popularity.

    Attributes:
        kinds: share of each popularity in the mixture.
        fields: those that count; the four below have a number for each.
        mixture, alphas, discounts: share of p(film | value) in the mixture, the rows it is shrunk
            by, and what is taken off each count (Kneser and Ney 1995).
        lifts, kappas: exponent of the lift, and the rows it is shrunk by.
        blend: shares of popularity, the mixture and the lifted mixture.
    """

    kinds: Array = field(default_factory=lambda: np.eye(1, KINDS)[0])
    fields: tuple[Field, ...] = ()
    mixture: Array = field(default_factory=lambda: np.zeros(0))
    alphas: Array = field(default_factory=lambda: np.zeros(0))
    discounts: Array = field(default_factory=lambda: np.zeros(0))
    lifts: Array = field(default_factory=lambda: np.zeros(0))
    kappas: Array = field(default_factory=lambda: np.zeros(0))
    blend: Array = field(default_factory=lambda: np.eye(1, 3)[0])

    def trimmed(self) -> Weights:
        """Return the same weights without the fields that make no difference."""
        kept = (self.mixture + self.lifts > 0) & (self.blend[0] < 1)
        lists = ("mixture", "alphas", "discounts", "lifts", "kappas")
        take = {name: getattr(self, name)[kept] for name in lists}
        fields = tuple(at for at, keep in zip(self.fields, kept, strict=True) if keep)
        return replace(self, fields=fields, **take)

    def probabilities(self, counts: Counts, codes: Array) -> Array:
        """Return the probability of each film (rows x films) for rows of value codes."""
        popular = counts.shares[ALL_TIME]
        made = np.tile(popular.astype(float), (len(codes), 1))
        if self.blend[0] == 1:
            return made
        step = max(1, _CELLS // (counts.plan.films * (len(self.fields) + 1)))
        for begin in range(0, len(codes), step):
            chunk = codes[begin : begin + step]
            seen = [counts.rows(chunk, at) for at in self.fields]
            mixed = self.mixed(counts, chunk, seen)
            fit_lifts = mixed * self._lifted(counts, chunk, seen)
            fit_lifts /= fit_lifts.sum(axis=1, keepdims=True)
            parts = self.blend[1] * mixed + self.blend[2] * fit_lifts
            made[begin : begin + step] = self.blend[0] * popular + parts
        return made

    def mixed(self, counts: Counts, codes: Array, seen: list[Array]) -> Array:
        """Return the mixture (rows x films), given each field's counts."""
        mixed = np.tile((self.kinds @ counts.shares).astype(np.float32), (len(codes), 1))
        shrinks = self.alphas.astype(np.float32), self.discounts.astype(np.float32)
        fields = zip(self.fields, seen, self.mixture, *shrinks, strict=True)
        for at, chosen, share, alpha, discount in fields:
            if share:
                scale = np.float32(share) / (counts.total(codes, at) + alpha)
                kept, rest = chosen, alpha
                if discount and not is_random_walk(at):
                    kept = np.maximum(chosen - discount, 0)
                    rest = alpha + np.minimum(chosen, discount).sum(axis=1, keepdims=True)
                mixed += scale * kept
                mixed += scale * rest * counts.shares[ALL_TIME]
        return mixed

    def _lifted(self, counts: Counts, codes: Array, seen: list[Array]) -> Array:
        score = np.zeros((len(codes), counts.plan.films), dtype=np.float32)
        fields = zip(self.fields, seen, self.lifts, self.kappas, strict=True)
        for at, chosen, exponent, kappa in fields:
            if exponent:
                expected = counts.total(codes, at) * counts.shares[ALL_TIME]
                score += np.float32(exponent) * log_lift(chosen, expected, kappa)
        fit_lifts: Array = np.exp(score - score.max(axis=1, keepdims=True))
        return fit_lifts


def log_lift(chosen: Array, expected: Array, kappa: Any) -> Array:
    """Return the logarithm of (chosen + kappa) / (expected + kappa)."""
    shrink = np.asarray(kappa, dtype=np.float32)
    lift: Array = np.log((chosen + shrink) / (expected + shrink))
    return lift


def is_random_walk(at: Field) -> bool:
    """Return whether a field is what values like a row's own go with."""
    return len(at) > 1 and at[0] == at[-1]


def joined(codes: Array, at: Field) -> Array:
    """Return one code for the values of a field's columns, 0 where one is unknown."""
    code = np.zeros(len(codes), dtype=np.int64)
    known = np.ones(len(codes), dtype=bool)
    for column in at:
        code = code * WIDTH + codes[:, column]
        known &= codes[:, column] > 0
    return code * known


def _followed(late: Array, plan: Plan, rows: Rows) -> Array:
    """Return the gamma distributions of the films' shares after further rows.

    Before each block a distribution widens as the logarithm of a share wanders: what is chosen
    often forgets fast, what is rare slowly (Smith and Miller 1986, their discount by precision).
    """
    drifts = np.array(plan.drifts)[:, None]
    block = np.arange(len(rows.films)) // (1 + len(rows.films) // _BLOCKS)
    blocks = int(block.max(initial=-1)) + 1
    counts = np.bincount(block * plan.films + rows.films, rows.weights, blocks * plan.films)
    for chosen in counts.reshape(blocks, plan.films):
        total = chosen.sum()
        late = late / (1 + late[0] * drifts * total)
        late[0] += chosen
        late[1] += total
    return late


def _values(codes: Array, at: Field, combos: dict[Field, Array]) -> Array:
    if at[0] == at[-1]:
        return codes[:, at[0]]
    code, known = joined(codes, at), combos[at]
    found = np.minimum(np.searchsorted(known, code), len(known) - 1)
    return np.where((known[found] == code) & (code > 0), found + 1, 0)


def _table(values: Array, films: Array, weights: Array, size: int) -> Any:
    known = np.flatnonzero(values)
    where = (values[known].astype(np.int32), films[known].astype(np.int32))
    shape = (int(values.max(initial=0)) + 1, size)
    table = sparse.csr_matrix((weights[known].astype(np.float32), where), shape=shape)
    table.sum_duplicates()
    return table


def _sum(one: Any, other: Any) -> Any:
    shape = tuple(max(sizes) for sizes in zip(one.shape, other.shape, strict=True))
    # What answers meanwhile keeps its own.
    one = one.copy()
    for table in (one, other):
        table.resize(shape)
    return (one + other).tocsr()
