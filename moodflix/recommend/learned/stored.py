"""Converts a learned model to arrays and JSON values, and back with every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from scipy import sparse  # type: ignore[import-untyped]

from moodflix.films import shipped
from moodflix.recommend.learned.counts import POPULARITIES, Array, Counts, Plan
from moodflix.recommend.learned.encoding import MAX_WORDS, NAMES, PLACES, ContextEncoder
from moodflix.recommend.learned.estimator import ChoiceEstimator
from moodflix.recommend.learned.model import ChoiceModel, pipeline_of
from moodflix.recommend.learned.weights import Weights


def to_arrays(model: ChoiceModel) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and values of a model.

    Raises:
        ValueError: nothing was learned.
    """
    if model.pipeline is None:
        raise ValueError("nothing was learned")
    encode, estimate = model.pipeline["encode"], model.pipeline["estimate"]
    counts, plan = estimate.counts_, estimate.counts_.plan
    arrays = {
        "chosen": counts.chosen,
        "recent": counts.recent.astype(np.float32),
        "over_places": counts.over_places,
    }
    for field, table in counts.tables.items():
        name = _name(field)
        whole = table.data.astype(np.uint32)
        # Counts of whole rows take few bytes; weighted ones need not be exact.
        small = whole.astype(np.min_scalar_type(whole.max(initial=0)))
        is_exact = np.array_equal(whole, table.data)
        arrays[f"counts-{name}"] = small if is_exact else table.data.astype(np.float16)
        arrays[f"films-{name}"] = table.indices.astype(np.min_scalar_type(plan.films))
        arrays[f"lengths-{name}"] = np.diff(table.indptr)
    arrays |= {f"pairs-{_name(field)}": codes for field, codes in counts.pairs.items()}
    return arrays, {
        "rows": model.rows,
        "figures": model.figures,
        "titles": model.titles,
        "values": dict(zip(NAMES, map(list, encode.values_), strict=True)),
        "edges": encode.edges_,
        "place": plan.place,
        "drift": plan.drift,
        "weights": {name: [*map(_plain, each)] for name, each in vars(estimate.weights_).items()},
    }


def from_arrays(arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> ChoiceModel:
    """Return the model of these arrays and values.

    Raises:
        ValueError: something is missing or invalid; the text says what.
    """
    try:
        stored = _Meta.model_validate(meta)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    model = ChoiceModel()
    model.rows, model.figures, model.titles = stored.rows, stored.figures, stored.titles
    model.films = {shipped.key_of(title): film for film, title in enumerate(stored.titles)}
    films = len(stored.titles)
    if len(model.films) != films or "" in model.films:
        raise ValueError("titles: one film twice, or none")
    encode, estimate = ContextEncoder(), ChoiceEstimator(PLACES)
    encode.edges_ = stored.edges
    encode.values_ = [
        {value: code for code, value in enumerate(stored.values.get(name, ()), start=1)}
        for name in NAMES
    ]
    if stored.values.keys() != set(NAMES) or any(
        len(values) != len(stored.values[name])
        for name, values in zip(NAMES, encode.values_, strict=True)
    ):
        raise ValueError("values: not those of the fields")
    estimate.weights_, estimate.figures_ = stored.weights.weights(), stored.figures
    plan = Plan(films, stored.place, stored.drift, estimate.weights_.fields)
    estimate.counts_ = _counts(arrays, plan)
    estimate.classes_, estimate.n_features_in_ = np.arange(films), len(NAMES)
    model.pipeline = pipeline_of(encode, estimate)
    return model


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else float(value)


def _name(field: tuple[int, ...]) -> str:
    return "-".join(map(str, field))


_Share = Annotated[float, Field(ge=0, le=1)]
_Column = Annotated[int, Field(ge=0, lt=len(NAMES))]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Weights(_Strict):
    popularities: Annotated[list[_Share], Field(min_length=POPULARITIES, max_length=POPULARITIES)]
    fields: list[Annotated[list[_Column], Field(min_length=1, max_length=2)]]
    mixture: list[_Share]
    exponents: list[Annotated[FiniteFloat, Field(ge=0, le=100)]]

    def weights(self) -> Weights:
        lists = {name: np.array(value) for name, value in self if name != "fields"}
        made = Weights(fields=tuple(map(tuple, self.fields)), **lists)
        if not len(made.fields) == len(made.mixture) == len(made.exponents):
            raise ValueError("weights: not one for each field")
        if not made.popularities.sum() + made.mixture.sum() > 0:
            raise ValueError("weights: none")
        return made


class _Meta(_Strict):
    rows: Annotated[int, Field(ge=1)]
    figures: dict[str, FiniteFloat]
    titles: Annotated[list[str], Field(min_length=1)]
    values: dict[str, Annotated[list[str], Field(max_length=MAX_WORDS)]]
    edges: list[FiniteFloat]
    place: _Column | None
    drift: Annotated[FiniteFloat, Field(gt=0)]
    weights: _Weights


def _counts(arrays: Mapping[str, Any], plan: Plan) -> Counts:
    chosen, over_places = (
        _read(arrays, name, "f", plan.films).astype(float) for name in ("chosen", "over_places")
    )
    recent = _read(arrays, "recent", "f", 2 * plan.films).astype(float).reshape(2, plan.films)
    if (chosen <= 0).any() or (over_places < 0).any() or (recent <= 0).any():
        raise ValueError("chosen: counts that can't be")
    pairs = {
        field: _read(arrays, f"pairs-{_name(field)}", "i") for field in plan.fields if field[1:]
    }
    if any(not len(each) or (np.diff(each) <= 0).any() for each in pairs.values()):
        raise ValueError("pairs: not in order")
    tables = {field: _table(arrays, _name(field), plan.films) for field in plan.fields}
    if any(tables[field].shape[0] > len(each) + 1 for field, each in pairs.items()):
        raise ValueError("pairs: fewer than were counted")
    return Counts(plan, chosen, recent, over_places, tables, pairs)


def _read(arrays: Mapping[str, Any], name: str, kinds: str, size: int | None = None) -> Array:
    array = arrays.get(name)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        raise ValueError(f"{name}: missing, or not the kind of numbers it was")
    if size is not None and array.size != size:
        raise ValueError(f"{name}: {array.size} numbers instead of {size}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: not finite")
    return array.ravel()


def _table(arrays: Mapping[str, Any], name: str, films: int) -> Any:
    lengths = _read(arrays, f"lengths-{name}", "i").astype(np.int64)
    if not len(lengths) or lengths[0] or (lengths < 0).any() or (lengths > films).any():
        raise ValueError(f"lengths-{name}: lengths that can't be")
    columns = _read(arrays, f"films-{name}", "u", int(lengths.sum())).astype(np.int32)
    counts = _read(arrays, f"counts-{name}", "uf", len(columns)).astype(np.float32)
    if (columns >= films).any() or (counts < 0).any():
        raise ValueError(f"films-{name}: a film or a count that can't be")
    bounds = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    return sparse.csr_matrix((counts, columns, bounds), shape=(len(lengths), films))
