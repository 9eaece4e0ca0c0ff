"""The arithmetic of fitting: maximum likelihood and the figures of held-out rows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_EPSILON: Final = 1e-12
_STEPS, _SWEEPS, _RIDGE, _TOLERANCE = 8, 30, 1e-6, 1e-3
_TOP: Final = 10


def newton(features: Array, offset: Array, weights: Array) -> Array:
    """Return the non-negative exponents of maximum likelihood, by penalised Newton steps.

    The penalty of each is a standard error of its slope at 0, so that noise gets no weight.
    """
    exponents = np.zeros(features.shape[2])
    penalty = None
    for _ in range(_STEPS):
        gradient, curve = slope(features, offset, weights, exponents)
        curve[np.diag_indices_from(curve)] += _RIDGE
        if penalty is None:
            penalty = np.sqrt(curve.diagonal() * float(weights @ weights))
        goal = exponents.copy()
        for _ in range(_SWEEPS):
            for one in range(len(goal)):
                pull = gradient[one] - curve[one] @ (goal - exponents) + curve[one, one] * goal[one]
                goal[one] = max((pull - penalty[one]) / curve[one, one], 0.0)
        step = np.clip(goal - exponents, -1, 1)
        exponents = exponents + step
        if np.abs(step).max(initial=0) < _TOLERANCE:
            break
    return exponents


def slope(features: Array, offset: Array, weights: Array, exponents: Array) -> tuple[Array, Array]:
    """Return gradient and curvature of the mean log-likelihood."""
    films, own = features[:, :-1], features[:, -1]
    shares = partition(features, offset, exponents)[1]
    mean = (shares[:, None] @ films)[:, 0]
    around = films - mean[:, None]
    around *= np.sqrt(shares * weights[:, None].astype(np.float32))[..., None]
    flat = around.reshape(shares.size, len(exponents))
    return weights @ (own - mean), (flat.T @ flat).astype(float)


def partition(features: Array, offset: Array, exponents: Array) -> tuple[Array, Array]:
    """Return the logarithm of each row's partition sum, and the films' shares in it."""
    score = offset + features[:, :-1] @ exponents.astype(np.float32)
    top = score.max(axis=1, keepdims=True)
    shares = np.exp(score - top)
    sums = shares.sum(axis=1, keepdims=True)
    return (top + np.log(sums))[:, 0], shares / sums


def em(parts: Array, weights: Array, steps: int = 60, prior: float = 0.0) -> Array:
    """Return the shares of a mixture of maximum likelihood (Dempster, Laird and Rubin 1977).

    ``prior`` is added to the share of the first part in each step.
    """
    shares = np.full(parts.shape[1], 1 / parts.shape[1])
    for _ in range(steps):
        each = parts * shares
        shares = weights @ (each / np.maximum(each.sum(axis=1, keepdims=True), _EPSILON))
        shares[0] += prior
        shares /= shares.sum()
    return shares


def judge(shares: Array, films: Array) -> tuple[Array, Array, Array]:
    """Return hit and NDCG at 10 and log loss of each row; films with equal shares share a rank."""
    own = np.take_along_axis(shares, films[:, None], axis=1)
    rank = (shares > own).sum(axis=1) + ((shares == own).sum(axis=1) - 1) / 2
    hit = rank < _TOP
    return hit, np.where(hit, 1 / np.log2(rank + 2), 0), -np.log(own[:, 0] + _EPSILON)
