"""The arithmetic of weighing: what makes held-out rows likeliest, and how well they are met."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_TINY: Final = 1e-12
_STEPS, _SWEEPS, _RIDGE, _CLOSE = 8, 30, 1e-6, 1e-3
_TOP: Final = 10


def newton(features: Array, offset: Array, say: Array) -> Array:
    """Return exponents that make the rows likeliest, none below 0, by penalised Newton steps.

    The penalty of each is a standard error of its slope at 0, so that noise gets no weight.
    """
    at = np.zeros(features.shape[2])
    penalty = None
    for _ in range(_STEPS):
        gradient, curve = slope(features, offset, say, at)
        curve[np.diag_indices_from(curve)] += _RIDGE
        if penalty is None:
            penalty = np.sqrt(curve.diagonal() * float(say @ say))
        goal = at.copy()
        for _ in range(_SWEEPS):
            for one in range(len(at)):
                pull = gradient[one] - curve[one] @ (goal - at) + curve[one, one] * goal[one]
                goal[one] = max((pull - penalty[one]) / curve[one, one], 0.0)
        step = np.clip(goal - at, -1, 1)
        at = at + step
        if np.abs(step).max(initial=0) < _CLOSE:
            break
    return at


def slope(features: Array, offset: Array, say: Array, at: Array) -> tuple[Array, Array]:
    """Return gradient and curvature of the mean log-likelihood."""
    films, own = features[:, :-1], features[:, -1]
    shares = partition(features, offset, at)[1]
    mean = (shares[:, None] @ films)[:, 0]
    around = films - mean[:, None]
    around *= np.sqrt(shares * say[:, None].astype(np.float32))[..., None]
    flat = around.reshape(shares.size, len(at))
    return say @ (own - mean), (flat.T @ flat).astype(float)


def partition(features: Array, offset: Array, at: Array) -> tuple[Array, Array]:
    """Return the logarithm of each row's partition sum, and the films' shares in it."""
    score = offset + features[:, :-1] @ at.astype(np.float32)
    top = score.max(axis=1, keepdims=True)
    shares = np.exp(score - top)
    sums = shares.sum(axis=1, keepdims=True)
    return (top + np.log(sums))[:, 0], shares / sums


def em(parts: Array, say: Array, steps: int = 60, prior: float = 0.0) -> Array:
    """Return the shares of a mixture that make rows likeliest (Dempster, Laird and Rubin 1977).

    ``prior`` is what the first part is given in each step.
    """
    shares = np.full(parts.shape[1], 1 / parts.shape[1])
    for _ in range(steps):
        each = parts * shares
        shares = say @ (each / np.maximum(each.sum(axis=1, keepdims=True), _TINY))
        shares[0] += prior
        shares /= shares.sum()
    return shares


def judge(shares: Array, films: Array) -> tuple[Array, Array, Array]:
    """Return hit and NDCG at 10 and log loss of each row; equal shares meet halfway."""
    own = np.take_along_axis(shares, films[:, None], axis=1)
    rank = (shares > own).sum(axis=1) + ((shares == own).sum(axis=1) - 1) / 2
    hit = rank < _TOP
    return hit, np.where(hit, 1 / np.log2(rank + 2), 0), -np.log(own[:, 0] + _TINY)
