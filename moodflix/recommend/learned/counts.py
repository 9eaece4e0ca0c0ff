"""Counts how often each film was chosen: in all, recently, by place, and with each context value.

A field is one column of the value codes, or two combined; value 0 of a field is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]

Array = np.ndarray[Any, np.dtype[Any]]
Field = tuple[int, ...]

WIDTH: Final = 1 << 16  # value codes of a column
POPULARITIES: Final = 3  # of all time, recent, mean over places
ALL_TIME, OVER_PLACES = 0, 2
EPSILON: Final = 1e-12
_MAX_CELLS: Final = 3_000_000  # of the dense arrays of a chunk of rows
_RECENT_ROWS: Final = 100_000
_BLOCKS: Final = 64  # of rows, in each of which tastes count as constant


class Rows(NamedTuple):
    """Choices in time order: value codes (rows x columns), films, weights."""

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
        drift: the variance that a row adds to the logarithm of a film's recent share.
        fields: those whose values are counted.
    """

    films: int
    place: int | None
    drift: float
    fields: tuple[Field, ...] = ()

    def chunks(self, rows: int) -> Iterator[slice]:
        """Yield slices of the rows for which dense counts of all fields fit into memory."""
        step = max(1, _MAX_CELLS // (self.films * (len(self.fields) + 1)))
        yield from (slice(begin, begin + step) for begin in range(0, rows, step))


@dataclass
class Counts:
    """How often each film was chosen, in all and with each value of each field.

    Attributes:
        chosen: how often each film was chosen.
        recent: shapes and rates of the films' gamma distributions (2 x films).
        over_places: sum over places of each film's share of the choices there.
        tables: sparse counts of each field, values x films; the row of value 0 is empty.
        pairs: the joint codes of the values of each field of two columns, in order.
        popularities: each film's share by each of the first three (3 x films).
    """

    plan: Plan
    chosen: Array
    recent: Array
    over_places: Array
    tables: dict[Field, Any]
    pairs: dict[Field, Array]

    def __post_init__(self) -> None:
        kinds = np.stack([self.chosen, self.recent[0] / self.recent[1], self.over_places])
        sums = np.maximum(kinds.sum(axis=1, keepdims=True), EPSILON)
        self.popularities = (kinds / sums).astype(np.float32)

    @classmethod
    def of(cls, plan: Plan, rows: Rows, pairs: dict[Field, Array] | None = None) -> Counts:
        """Count rows; with ``pairs``, other pairs of values are left out."""
        codes, films, weights = rows
        if pairs is None:
            two = (field for field in plan.fields if len(field) > 1)
            pairs = {field: np.unique(joint_codes(codes, field)) for field in two}
        chosen = np.bincount(films, weights, plan.films)
        recent = np.stack([np.ones(plan.films), chosen.sum() / np.maximum(chosen, 1)])
        recent = _updated_recent(recent, plan.drift, rows.take(slice(-_RECENT_ROWS, None)))
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
        """Return counts with further rows added; there are ``films`` films now.

        New pairs of values are not counted, and the mean over places stays, until the next ``of``.
        """
        new = films - self.plan.films
        further = Counts.of(replace(self.plan, films=films), rows, self.pairs)
        chosen = further.chosen + np.pad(self.chosen, (0, new))
        unseen = np.stack([np.ones(new), np.full(new, chosen.sum())])
        recent = _updated_recent(np.hstack([self.recent, unseen]), self.plan.drift, rows)
        over_places = np.pad(self.over_places, (0, new))
        tables = {field: _sum(table, further.tables[field]) for field, table in self.tables.items()}
        return Counts(further.plan, chosen, recent, over_places, tables, self.pairs)

    def prior(self, field: Field) -> Array:
        """Return the popularity (a share of each film) that stands for an unknown value."""
        shares: Array = self.popularities[OVER_PLACES if self.plan.place in field else ALL_TIME]
        return shares

    def values(self, codes: Array, field: Field) -> Array:
        """Return each row's value of a field, 0 for one that was never counted."""
        values = _values(codes, field, self.pairs).astype(np.int32)
        return np.where(values < self.tables[field].shape[0], values, 0)

    def dense(self, codes: Array, field: Field) -> tuple[Array, Array]:
        """Return the counts of each row's value: of each film (rows x films), in all (rows x 1)."""
        table = self.tables[field]
        of_films = np.zeros((len(codes), self.plan.films), dtype=np.float32)
        # For a row or two this takes a tenth of the time of indexing the sparse table.
        for row, value in enumerate(self.values(codes, field)):
            span = slice(table.indptr[value], table.indptr[value + 1])
            of_films[row, table.indices[span]] = table.data[span]
        return of_films, of_films.sum(axis=1, keepdims=True)


def joint_codes(codes: Array, field: Field) -> Array:
    """Return one code for the values of a field's columns, 0 where one is unknown."""
    joint = np.zeros(len(codes), dtype=np.int64)
    known = np.ones(len(codes), dtype=bool)
    for column in field:
        joint = joint * WIDTH + codes[:, column]
        known &= codes[:, column] > 0
    return joint * known


def _updated_recent(recent: Array, drift: float, rows: Rows) -> Array:
    """Return the gamma distributions of the films' shares after further rows.

    Before each block a distribution widens by the drift of a share's logarithm: frequent films
    forget fast, rare ones slowly (Smith and Miller 1986, with a discount by precision).
    """
    films = recent.shape[1]
    block = np.arange(len(rows.films)) // (1 + len(rows.films) // _BLOCKS)
    blocks = int(block.max(initial=-1)) + 1
    counts = np.bincount(block * films + rows.films, rows.weights, blocks * films)
    for chosen in counts.reshape(blocks, films):
        total = chosen.sum()
        recent = recent / (1 + recent[0] * drift * total)
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
