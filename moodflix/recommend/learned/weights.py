"""The formula of the learned model, and the weights in it.

A mixture of popularities and of the shares of the films with each value of the context (linear
interpolation, Jelinek and Mercer 1980) is multiplied by what each value changes (naive Bayes with
an exponent for each column, so that columns that say the same do not count twice)::

    p(film | context) = m(film) * lift_1(film)^w_1 * lift_2(film)^w_2 * ... / Z
    m(film)           = s_1 popularity_1(film) + ... + m_1 p(film | value_1) + ...
    p(film | value)   = (n(film, value) + ALPHA popularity(film)) / (n(value) + ALPHA)
    lift(film)        = (n(film, value) + KAPPA) / (n(value) popularity(film) + KAPPA)

With m = popularity and all w = 1 this is naive Bayes. An unknown value has n = 0: it leaves m at
popularity (for a place: at the mean over places), and its lifts are 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from moodflix.recommend.learned.counts import ALL_TIME, POPULARITIES, Array, Counts, Field

ALPHA: Final = np.float32(40)
KAPPA: Final = np.float32(6)


def smoothed(of_film: Array, of_value: Array, popularity: Array) -> Array:
    """Return p(film | value) from counts, with a Dirichlet prior (Zhai and Lafferty 2004)."""
    share: Array = (of_film + ALPHA * popularity) / (of_value + ALPHA)
    return share


def log_lift(of_film: Array, expected: Array) -> Array:
    """Return the logarithm of how much more often a film was chosen than expected."""
    lift: Array = np.log((of_film + KAPPA) / (expected + KAPPA))
    return lift


@dataclass
class Weights:
    """How much each part of the formula counts; the default is popularity.

    Attributes:
        popularities: share of each popularity in the mixture.
        fields: those that count.
        mixture: share of each field in the mixture.
        exponents: of each field's lift.
    """

    popularities: Array = dataclasses.field(default_factory=lambda: np.eye(1, POPULARITIES)[0])
    fields: tuple[Field, ...] = ()
    mixture: Array = dataclasses.field(default_factory=lambda: np.zeros(0))
    exponents: Array = dataclasses.field(default_factory=lambda: np.zeros(0))

    def trimmed(self) -> Weights:
        """Return the same weights without the fields that have no effect."""
        kept = np.flatnonzero(self.mixture + self.exponents)
        fields = tuple(self.fields[at] for at in kept)
        return Weights(self.popularities, fields, self.mixture[kept], self.exponents[kept])

    def probabilities(self, counts: Counts, codes: Array) -> Array:
        """Return the probability of each film (rows x films) for rows of value codes."""
        made = np.empty((len(codes), counts.plan.films))
        for chunk in counts.plan.chunks(len(codes)):
            dense = [counts.dense(codes[chunk], field) for field in self.fields]
            score = np.zeros(made[chunk].shape, dtype=np.float32)
            for (of_films, of_value), exponent in zip(dense, self.exponents, strict=True):
                if exponent:
                    expected = of_value * counts.popularities[ALL_TIME]
                    score += np.float32(exponent) * log_lift(of_films, expected)
            lifts = np.exp(score - score.max(axis=1, keepdims=True))
            made[chunk] = self.mixed(counts, dense) * lifts
        made /= made.sum(axis=1, keepdims=True)
        return made

    def mixed(self, counts: Counts, dense: Sequence[tuple[Array, Any]]) -> Array:
        """Return the mixture (rows or 1 x films) from the ``Counts.dense`` of each field."""
        mixed: Array = (self.popularities @ counts.popularities).astype(np.float32)[None]
        for field, share, of_row in zip(self.fields, self.mixture, dense, strict=True):
            if share:
                mixed = mixed + np.float32(share) * smoothed(*of_row, counts.prior(field))
        return mixed
