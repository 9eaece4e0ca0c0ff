"""The arithmetic of fitting: maximum likelihood and the metrics of held-out rows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy import optimize  # type: ignore[import-untyped]

Array = np.ndarray[Any, np.dtype[Any]]

_EPSILON: Final = 1e-12
_MAX_EXPONENT: Final = 8.0
_TOP: Final = 10


def fit_exponents(features: Array, offset: Array, weights: Array) -> Array:
    """Return the exponents of a conditional logit (McFadden 1974) of penalised maximum likelihood.

    They are at least 0, and the penalty of each is a standard error of its slope at 0, so that
    noise gets none. ``features`` are rows x (candidates + 1) x exponents; the last candidate is
    the one chosen, and ``offset`` (rows x candidates) is added to the score of the others.
    """
    candidates = features[:, :-1]
    shares = _softmax(offset)[1][:, None]
    mean = (shares @ candidates)[:, 0]
    variance = weights @ ((shares @ candidates**2)[:, 0] - mean**2)
    penalty: Array = np.sqrt(np.maximum(variance, 0) * (weights @ weights))
    if not penalty.size:
        return penalty

    def loss(exponents: Array) -> tuple[float, Array]:
        value, gradient = log_likelihood(features, offset, weights, exponents)
        return float(penalty @ exponents) - value, penalty - gradient

    start, bounds = np.zeros(len(penalty)), [(0, _MAX_EXPONENT)] * len(penalty)
    found: Array = optimize.minimize(loss, start, jac=True, bounds=bounds).x
    return found


def log_likelihood(
    features: Array, offset: Array, weights: Array, exponents: Array
) -> tuple[float, Array]:
    """Return the weighted sum of the rows' log-likelihoods, and its gradient."""
    candidates, own = features[:, :-1], features[:, -1]
    # Some BLAS set the flag of an invalid value though all values going in and out are finite.
    with np.errstate(invalid="ignore"):
        sums, shares = _softmax(offset + candidates @ exponents.astype(np.float32))
        mean = (shares[:, None] @ candidates)[:, 0]
    return float(weights @ (own @ exponents - sums)), weights @ (own - mean).astype(float)


def _softmax(score: Array) -> tuple[Array, Array]:
    """Return the logarithm of each row's partition sum, and the shares in it."""
    top = score.max(axis=1, keepdims=True)
    shares = np.exp(score - top)
    sums = shares.sum(axis=1, keepdims=True)
    return (top + np.log(sums))[:, 0], shares / sums


def em(components: Array, weights: Array, steps: int = 60, prior: float = 0.0) -> Array:
    """Return the shares of a mixture of maximum likelihood (Dempster, Laird and Rubin 1977).

    ``components`` are the probabilities of each row under each component; ``prior`` is added to the
    share of the first in each step.
    """
    shares = np.full(components.shape[1], 1 / components.shape[1])
    for _ in range(steps):
        each = components * shares
        shares = weights @ (each / np.maximum(each.sum(axis=1, keepdims=True), _EPSILON))
        shares[0] += prior
        shares /= shares.sum()
    return shares


def metrics(shares: Array, films: Array) -> tuple[Array, Array, Array]:
    """Return hit and NDCG at 10 and log loss of each row; films with equal shares share a rank."""
    own = np.take_along_axis(shares, films[:, None], axis=1)
    rank = (shares > own).sum(axis=1) + ((shares == own).sum(axis=1) - 1) / 2
    hit = rank < _TOP
    return hit, np.where(hit, 1 / np.log2(rank + 2), 0), -np.log(own[:, 0] + _EPSILON)
