"""The estimator of the pipeline: counts every row, weighs the counts by what held-out rows say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from scipy import sparse  # type: ignore[import-untyped]
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from moodflix.recommend.learned.counts import (
    DECAYS,
    KINDS,
    WIDTH,
    Array,
    Counts,
    Plan,
    Rows,
    Weights,
)
from moodflix.recommend.learned.fitting import Learner

# Fewer rows than this are popularity.
FEW: Final = 40
# Weights are learned on the newest rows; all are counted.
_WINDOW: Final = 100_000
# Popularities of late: how far the logarithm of a share wanders in the window, its variance.
_DRIFTS: Final = (0.1, 1.0, 4.0, 16.0)
_VARIED: Final = 2  # values of a place, unknown among them


class ChoiceEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns which class goes with which value codes (0 is unknown), from rows in time order.

    Args:
        places: columns one of which, the first that varies, says where a row is from.
        seed: of what is held out.
    """

    def __init__(self, places: Sequence[int] = (), seed: int = 0) -> None:
        self.places = places
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ChoiceEstimator:  # noqa: N803
        """Learn weights on held-out rows, then count all rows."""
        codes, labels = validate_data(self, X, y)
        if labels.dtype.kind == "f" and (labels % 1).any():
            raise ValueError("Unknown label type: continuous")
        self.classes_, films = np.unique(labels, return_inverse=True)
        rows = _rows(codes, films, sample_weight)
        varied = (at for at in self.places if len(np.unique(rows.codes[:, at])) > _VARIED)
        drifts = (drift / min(len(films), _WINDOW) for drift in _DRIFTS)
        plan = Plan(len(self.classes_), next(varied, None), tuple(drifts))
        self.seen_, self.unseen_ = Weights(), Weights()
        self.figures_: dict[str, float] = {}
        if len(films) >= FEW and len(self.classes_) > 1:
            learner = Learner(plan, rows.take(slice(-_WINDOW, None)), self.seed, self.places)
            self.seen_, self.unseen_, self.figures_ = learner.learn()
            used = {*self.seen_.fields, *self.unseen_.fields}
            plan = replace(plan, fields=tuple(sorted(used)))
        self.counts_ = Counts.of(plan, rows)
        return self

    def count_on(self, X: Any, y: Any, sample_weight: Any = None) -> ChoiceEstimator:  # noqa: N803
        """Count further rows, of new classes too; the weights stay as they are."""
        check_is_fitted(self)
        codes = validate_data(self, X, reset=False)
        self.classes_ = np.append(self.classes_, np.setdiff1d(y, self.classes_))
        order = self.classes_.argsort()
        films = order[np.searchsorted(self.classes_, y, sorter=order)]
        self.counts_ = self.counts_.plus(_rows(codes, films, sample_weight), len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the probability of each class, rows x classes."""
        check_is_fitted(self)
        codes = _codes(validate_data(self, X, reset=False))
        seen = self.counts_.seen(codes)
        made = np.empty((len(codes), len(self.classes_)))
        for which, weights in ((seen, self.seen_), (~seen, self.unseen_)):
            if which.any():
                made[which] = weights.probabilities(self.counts_, codes[which])
        return made

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the likeliest class of each row."""
        check_is_fitted(self)
        likeliest: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Measures are cut to whole numbers: it is for codes.
        tags.classifier_tags.poor_score = True
        return tags

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return what was learned as arrays and JSON-able values; the classes are left out."""
        counts, plan = self.counts_, self.counts_.plan
        arrays = {
            "kinds": counts.kinds,
            "late": counts.late.astype(np.float32),
            "places": counts.places,
        }
        for at, table in counts.tables.items():
            name = _name(at)
            whole = table.data.astype(np.uint32)
            # Counts of whole rows take few bytes; decayed ones need not be exact.
            data = whole.astype(np.min_scalar_type(whole.max(initial=0)))
            arrays[f"counts-{name}"] = (
                data if np.array_equal(whole, table.data) else table.data.astype(np.float16)
            )
            arrays[f"films-{name}"] = table.indices.astype(np.min_scalar_type(plan.films))
            arrays[f"lengths-{name}"] = np.diff(table.indptr)
        arrays |= {f"combos-{_name(at)}": each for at, each in counts.combos.items()}
        meta: dict[str, Any] = {"place": plan.place, "drifts": list(plan.drifts)}
        for name, weights in (("seen", self.seen_), ("unseen", self.unseen_)):
            lists = {key: each.tolist() for key, each in vars(weights).items() if key != "fields"}
            meta[name] = {**lists, "fields": [list(at) for at in weights.fields]}
        return arrays, meta

    def restore(
        self, arrays: Mapping[str, Any], meta: Mapping[str, Any], films: int, columns: int
    ) -> ChoiceEstimator:
        """Take over what ``to_arrays`` told of, for so many classes and columns.

        Raises:
            ValueError: something is missing or impossible; one line says what.
        """
        try:
            told = _Told.model_validate(meta)
            self.seen_, self.unseen_ = told.seen.weights(columns), told.unseen.weights(columns)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if told.place is not None and told.place >= columns:
            raise ValueError("place: no such column")
        fields = tuple(sorted({*self.seen_.fields, *self.unseen_.fields}))
        plan = Plan(films, told.place, tuple(told.drifts), fields)
        kinds = _read(arrays, "kinds", "f", 2 * films).astype(float).reshape(2, films)
        late = _read(arrays, "late", "f", 2 * DECAYS * films).reshape(2, DECAYS, films)
        if (kinds < 0).any() or (kinds[0] <= 0).any() or (late <= 0).any():
            raise ValueError("kinds: counts that can't be")
        combos = {at: _read(arrays, f"combos-{_name(at)}", "i") for at in fields if at[0] != at[-1]}
        if any(not len(each) or (np.diff(each) <= 0).any() for each in combos.values()):
            raise ValueError("combos: not in order")
        tables = {at: _table(arrays, _name(at), films) for at in fields}
        if any(tables[at].shape[0] > len(each) + 1 for at, each in combos.items()):
            raise ValueError("combos: fewer than were counted")
        places = _read(arrays, "places", "b")
        self.counts_ = Counts(plan, kinds, late.astype(float), tables, combos, places)
        self.classes_, self.n_features_in_, self.figures_ = np.arange(films), columns, {}
        return self


def _codes(given: Array) -> Array:
    if given.dtype == np.uint16:
        return given
    return np.clip(given, 0, WIDTH - 1).astype(np.uint16)


def _rows(given: Array, films: Array, weights: Any) -> Rows:
    each = np.ones(len(films)) if weights is None else np.asarray(weights)
    if not each.any():
        raise ValueError("every sample weight is zero")
    return Rows(_codes(given), films, each)


def _name(at: tuple[int, ...]) -> str:
    return "-".join(map(str, at))


_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[FiniteFloat, Field(gt=0)]
_Column = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Weights(_Strict):
    kinds: Annotated[list[Annotated[FiniteFloat, Field(ge=0)]], Field(min_length=KINDS)]
    fields: list[Annotated[list[_Column], Field(min_length=1, max_length=3)]]
    mixture: list[_Share]
    alphas: list[_Positive]
    discounts: list[_Share]
    lifts: list[Annotated[FiniteFloat, Field(ge=0, le=100)]]
    kappas: list[_Positive]
    blend: Annotated[list[_Share], Field(min_length=3, max_length=3)]

    def weights(self, columns: int) -> Weights:
        rest = {name: np.array(value) for name, value in self if name != "fields"}
        made = Weights(fields=tuple(map(tuple, self.fields)), **rest)
        each = (made.mixture, made.alphas, made.lifts, made.kappas)
        if any(len(numbers) != len(made.fields) for numbers in each):
            raise ValueError("weights: not one for each field")
        if any(column >= columns for at in made.fields for column in at):
            raise ValueError("weights: no such column")
        if len(made.kinds) != KINDS or not made.kinds.sum() + made.mixture.sum() > 0:
            raise ValueError("weights: none")
        return made


class _Told(_Strict):
    place: _Column | None
    drifts: Annotated[list[_Positive], Field(min_length=DECAYS, max_length=DECAYS)]
    seen: _Weights
    unseen: _Weights


def _read(arrays: Mapping[str, Any], name: str, kinds: str, size: int | None = None) -> Array:
    array = arrays.get(name)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        raise ValueError(f"{name}: missing, or not the kind of numbers it was")
    if size is not None and array.size != size:
        raise ValueError(f"{name}: {array.size} numbers instead of {size}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: not finite")
    return array.ravel()


def _table(arrays: Mapping[str, Any], name: str, size: int) -> Any:
    lengths = _read(arrays, f"lengths-{name}", "i").astype(np.int64)
    if not len(lengths) or lengths[0] or (lengths < 0).any() or (lengths > size).any():
        raise ValueError(f"lengths-{name}: lengths that can't be")
    films = _read(arrays, f"films-{name}", "u", int(lengths.sum())).astype(np.int32)
    counts = _read(arrays, f"counts-{name}", "uf", len(films)).astype(np.float32)
    if (films >= size).any() or (counts < 0).any():
        raise ValueError(f"films-{name}: a film or a count that can't be")
    bounds = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    return sparse.csr_matrix((counts, films, bounds), shape=(len(lengths), size))
