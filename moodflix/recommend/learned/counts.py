"""Sparse counts of film x value, and the probabilities that a set of weights makes of them.

A film's probability is a blend of three: its popularity; a mixture of popularities (of all time,
recent ones, and the mean over places) and of p(film | value) per field; and that mixture times
weighted lifts p(film | value) / p(film). Each p(film | value) is shrunk to popularity (of a place:
to the mean over places), so that a new value counts as unknown. A field is one column of the value
codes, or two combined.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]

Array = np.ndarray[Any, np.dtype[Any]]
Field = tuple[int, ...]

WIDTH: Final = 1 << 16  # value codes of a column
RATES: Final = 1  # number of drift rates of popularity
POPULARITIES: Final = RATES + 2  # all time, recent at each rate, over places
ALL_TIME: Final = 0
OVER_PLACES: Final = -1
EPSILON: Final = 1e-12
MAX_CELLS: Final = 3_000_000  # the largest dense array at a time
_RECENT_ROWS: Final = 100_000
_BLOCKS: Final = 64  # of rows, within which tastes are constant


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
        films: their number.
        place: the column of a row's place.
        drifts: of each recent popularity, the variance a row adds to the logarithm of a share.
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
        chosen: how often each film was chosen.
        recent: shapes and rates of the films' gamma distributions (2 x drifts x films).
        over_places: sum over places of each film's share of the choices there.
        tables: sparse counts, values x films; value 0, unknown, is empty.
        pairs: the joint codes of the values of each field of two columns, in order.
    """

    plan: Plan
    chosen: Array
    recent: Array
    over_places: Array
    tables: dict[Field, Any]
    pairs: dict[Field, Array]

    def __post_init__(self) -> None:
        kinds = np.array([self.chosen, *(self.recent[0] / self.recent[1]), self.over_places])
        sums = np.maximum(kinds.sum(axis=1, keepdims=True), EPSILON)
        self.shares = (kinds / sums).astype(np.float32)
        self.totals = {
            field: np.asarray(table.sum(axis=1), dtype=np.float32).ravel()
            for field, table in self.tables.items()
        }

    @classmethod
    def of(cls, plan: Plan, rows: Rows, pairs: dict[Field, Array] | None = None) -> Counts:
        """Count rows; with ``pairs``, other pairs of values are left out."""
        codes, films, weights = rows
        if pairs is None:
            two = (field for field in plan.fields if len(field) > 1)
            pairs = {field: np.unique(joint_codes(codes, field)) for field in two}
        chosen = np.bincount(films, weights, plan.films)
        recent = np.ones((2, len(plan.drifts), plan.films))
        recent[1] = chosen.sum() / np.maximum(chosen, 1)
        recent = _followed(recent, plan, rows.take(slice(-_RECENT_ROWS, None)))
        over_places = chosen
        if plan.place is not None:
            by_place = _table(codes[:, plan.place], films, weights, plan.films)
            totals = np.asarray(by_place.sum(axis=1)).ravel()
            over_places = (1 / np.maximum(totals, 1)) @ by_place if by_place.nnz else chosen
        tables = {
            field: _table(_values(codes, field, pairs), films, weights, plan.films)
            for field in plan.fields
        }
        return cls(plan, chosen, recent, over_places, tables, pairs)

    def plus(self, rows: Rows, films: int) -> Counts:
        """Return counts with further rows, of ``films`` films.

        New pairs of values, and the mean over places, are left to the next ``of``.
        """
        plan, known = replace(self.plan, films=films), self.plan.films
        further = Counts.of(plan, rows, self.pairs)
        over_places = np.zeros(films)
        further.chosen[:known] += self.chosen
        over_places[:known] = self.over_places
        recent = np.ones((2, len(plan.drifts), films))
        recent[1] = further.chosen.sum()
        recent[..., :known] = self.recent
        recent = _followed(recent, plan, rows)
        tables = {field: _sum(table, further.tables[field]) for field, table in self.tables.items()}
        return Counts(plan, further.chosen, recent, over_places, tables, self.pairs)

    def prior(self, field: Field) -> Array:
        """Return the share of each film for an unknown value of a field."""
        shares: Array = self.shares[OVER_PLACES if self.plan.place in field else ALL_TIME]
        return shares

    def values(self, codes: Array, field: Field) -> Array:
        """Return each row's value code of a field."""
        return _values(codes, field, self.pairs)

    def rows(self, codes: Array, field: Field) -> Array:
        """Return the counts of each film with each row's value (rows x films)."""
        table = self.tables[field]
        dense = np.zeros((len(codes), self.plan.films), dtype=np.float32)
        for row, value in enumerate(self.values(codes, field)):
            if value < table.shape[0]:
                span = slice(table.indptr[value], table.indptr[value + 1])
                dense[row, table.indices[span]] = table.data[span]
        return dense

    def total(self, codes: Array, field: Field) -> Array:
        """Return the count of each row's value."""
        values, known = self.values(codes, field), self.totals[field]
        return np.where(values < len(known), known[np.minimum(values, len(known) - 1)], 0)


@dataclass
class Weights:
    """How much each part counts; the default is popularity.

    Attributes:
        popularities: share of each popularity in the mixture.
        fields: those that count; the four below have a number for each.
        mixture, alphas: share of p(film | value) in the mixture, and the rows it is shrunk by.
        lifts, kappas: exponent of the lift, and the rows it is shrunk by.
        blend: shares of popularity, the mixture and the lifted mixture.
    """

    popularities: Array = dataclasses.field(default_factory=lambda: np.eye(1, POPULARITIES)[0])
    fields: tuple[Field, ...] = ()
    mixture: Array = dataclasses.field(default_factory=lambda: np.zeros(0))
    alphas: Array = dataclasses.field(default_factory=lambda: np.zeros(0))
    lifts: Array = dataclasses.field(default_factory=lambda: np.zeros(0))
    kappas: Array = dataclasses.field(default_factory=lambda: np.zeros(0))
    blend: Array = dataclasses.field(default_factory=lambda: np.eye(1, 3)[0])

    def trimmed(self) -> Weights:
        """Return the same weights without the fields that have no effect."""
        kept = (self.mixture + self.lifts > 0) & (self.blend[0] < 1)
        lists = ("mixture", "alphas", "lifts", "kappas")
        take = {name: getattr(self, name)[kept] for name in lists}
        fields = tuple(field for field, keep in zip(self.fields, kept, strict=True) if keep)
        return replace(self, fields=fields, **take)

    def probabilities(self, counts: Counts, codes: Array) -> Array:
        """Return the probability of each film (rows x films) for rows of value codes."""
        popular = counts.shares[ALL_TIME]
        made = np.tile(popular.astype(float), (len(codes), 1))
        if self.blend[0] == 1:
            return made
        step = max(1, MAX_CELLS // (counts.plan.films * (len(self.fields) + 1)))
        for begin in range(0, len(codes), step):
            chunk = codes[begin : begin + step]
            chosen = [counts.rows(chunk, field) for field in self.fields]
            totals = [counts.total(chunk, field)[:, None] for field in self.fields]
            mixed = self.mixed(counts, len(chunk), chosen, totals)
            lifted = mixed * self._lifted(counts, len(chunk), chosen, totals)
            lifted /= lifted.sum(axis=1, keepdims=True)
            parts = self.blend[1] * mixed + self.blend[2] * lifted
            made[begin : begin + step] = self.blend[0] * popular + parts
        return made

    def mixed(self, counts: Counts, rows: int, chosen: list[Array], totals: list[Array]) -> Array:
        """Return the mixture (rows x films), given the counts of each field."""
        popularities = (self.popularities @ counts.shares).astype(np.float32)
        mixed = np.tile(popularities, (rows, 1))
        alphas = self.alphas.astype(np.float32)
        fields = zip(self.fields, chosen, totals, self.mixture, alphas, strict=True)
        for field, of_films, total, share, alpha in fields:
            if share:
                mixed += np.float32(share) * shrunk(of_films, total, alpha, counts.prior(field))
        return mixed

    def _lifted(self, counts: Counts, rows: int, chosen: list[Array], totals: list[Array]) -> Array:
        score = np.zeros((rows, counts.plan.films), dtype=np.float32)
        fields = zip(chosen, totals, self.lifts, self.kappas, strict=True)
        for of_films, total, exponent, kappa in fields:
            if exponent:
                expected = total * counts.shares[ALL_TIME]
                score += np.float32(exponent) * log_lift(of_films, expected, kappa)
        lifts: Array = np.exp(score - score.max(axis=1, keepdims=True))
        return lifts


def shrunk(chosen: Array, total: Array, alpha: Any, prior: Array) -> Array:
    """Return p(film | value) from counts, shrunk to a prior by ``alpha`` rows."""
    made: Array = (chosen + alpha * prior) / (total + alpha)
    return made


def log_lift(chosen: Array, expected: Array, kappa: Any) -> Array:
    """Return the logarithm of (chosen + kappa) / (expected + kappa)."""
    rows = np.asarray(kappa, dtype=np.float32)
    lift: Array = np.log((chosen + rows) / (expected + rows))
    return lift


def joint_codes(codes: Array, field: Field) -> Array:
    """Return one code for the values of a field's columns, 0 where one is unknown."""
    joint = np.zeros(len(codes), dtype=np.int64)
    known = np.ones(len(codes), dtype=bool)
    for column in field:
        joint = joint * WIDTH + codes[:, column]
        known &= codes[:, column] > 0
    return joint * known


def _followed(recent: Array, plan: Plan, rows: Rows) -> Array:
    """Return the gamma distributions of the films' shares after further rows.

    Before each block a distribution widens by the drift of a share's logarithm: frequent films
    forget fast, rare ones slowly (Smith and Miller 1986, with a discount by precision).
    """
    drifts = np.array(plan.drifts)[:, None]
    block = np.arange(len(rows.films)) // (1 + len(rows.films) // _BLOCKS)
    blocks = int(block.max(initial=-1)) + 1
    counts = np.bincount(block * plan.films + rows.films, rows.weights, blocks * plan.films)
    for chosen in counts.reshape(blocks, plan.films):
        total = chosen.sum()
        recent = recent / (1 + recent[0] * drifts * total)
        recent[0] += chosen
        recent[1] += total
    return recent


def _values(codes: Array, field: Field, pairs: dict[Field, Array]) -> Array:
    if len(field) == 1:
        return codes[:, field[0]]
    joint, known = joint_codes(codes, field), pairs[field]
    found = np.minimum(np.searchsorted(known, joint), len(known) - 1)
    return np.where((known[found] == joint) & (joint > 0), found + 1, 0)


def _table(values: Array, films: Array, weights: Array, size: int) -> Any:
    known = np.flatnonzero(values)
    where = (values[known].astype(np.int32), films[known].astype(np.int32))
    shape = (int(values.max(initial=0)) + 1, size)
    table = sparse.csr_matrix((weights[known].astype(np.float32), where), shape=shape)
    table.sum_duplicates()
    return table


def _sum(one: Any, other: Any) -> Any:
    shape = tuple(max(sizes) for sizes in zip(one.shape, other.shape, strict=True))
    # A copy, as the model in use still reads the table.
    one = one.copy()
    for table in (one, other):
        table.resize(shape)
    return (one + other).tocsr()
