"""The estimator of the pipeline: counts all rows and fits the counts' weights on held-out rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from moodflix.recommend.learned.counts import WIDTH, Array, Counts, Plan, Rows
from moodflix.recommend.learned.fitting import fit_weights
from moodflix.recommend.learned.weights import Weights

MIN_ROWS: Final = 40  # with fewer, only popularity is learned
# Weights are fitted on the newest rows; all are counted.
_WINDOW: Final = 100_000
# Variance of the drift of the logarithm of a film's share over the window.
_DRIFT: Final = 8.0


class ChoiceEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the class from value codes (0 is unknown); rows are in time order.

    Args:
        places: columns of places; the first that varies is a row's place.
        seed: for the choice of held-out rows.
    """

    def __init__(self, places: Sequence[int] = (), seed: int = 0) -> None:
        self.places = places
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ChoiceEstimator:  # noqa: N803
        """Fit weights on held-out rows, then count all rows."""
        codes, labels = validate_data(self, X, y)
        if labels.dtype.kind == "f" and (labels % 1).any():
            raise ValueError("Unknown label type: continuous")
        self.classes_, films = np.unique(labels, return_inverse=True)
        rows = _rows(codes, films, sample_weight)
        # A column of unknown and one known value doesn't vary.
        varied = (at for at in self.places if len(np.unique(rows.codes[:, at])) > 2)  # noqa: PLR2004
        drift = _DRIFT / min(len(films), _WINDOW)
        plan = Plan(len(self.classes_), next(varied, None), drift)
        self.weights_ = Weights()
        self.figures_: dict[str, float] = {}
        if len(films) >= MIN_ROWS and len(self.classes_) > 1:
            newest = rows.take(slice(-_WINDOW, None))
            self.weights_, self.figures_ = fit_weights(plan, newest, self.seed)
        self.counts_ = Counts.of(replace(plan, fields=self.weights_.fields), rows)
        return self

    def extended(self, X: Any, y: Any, sample_weight: Any = None) -> ChoiceEstimator:  # noqa: N803
        """Return a copy with further rows counted, also of new classes; the weights are kept."""
        check_is_fitted(self)
        codes = validate_data(self, X, reset=False)
        other = copy.copy(self)
        other.classes_ = np.append(self.classes_, np.setdiff1d(y, self.classes_))
        order = other.classes_.argsort()
        films = order[np.searchsorted(other.classes_, y, sorter=order)]
        rows = _rows(codes, films, sample_weight)
        other.counts_ = self.counts_.plus(rows, len(other.classes_))
        return other

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the probability of each class, rows x classes."""
        check_is_fitted(self)
        codes = _codes(validate_data(self, X, reset=False))
        return self.weights_.probabilities(self.counts_, codes)

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the likeliest class of each row."""
        check_is_fitted(self)
        likeliest: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Its inputs are codes: scikit-learn's checks send measures, which become whole numbers.
        tags.classifier_tags.poor_score = True
        return tags


def _codes(values: Array) -> Array:
    if values.dtype == np.uint16:
        return values
    return np.clip(values, 0, WIDTH - 1).astype(np.uint16)


def _rows(values: Array, films: Array, sample_weight: Any) -> Rows:
    weights = np.ones(len(films)) if sample_weight is None else np.asarray(sample_weight)
    if not weights.any():
        raise ValueError("every sample weight is zero")
    return Rows(_codes(values), films, weights)
