from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planted import PLANS, Plan, Planted
from moodflix.recommend.learned.model import ChoiceModel
from moodflix.recommend.learned.stored import from_arrays, to_arrays

Stored = tuple[dict[str, Any], dict[str, Any]]
PLAN = Plan(1_500, 40, {"city": 1.5, "mood": 0.5}, cities=12, pairs=1.0, drift=2.0)


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted(PLAN, 1)


@pytest.fixture(scope="module")
def model(planted: Planted) -> ChoiceModel:
    return ChoiceModel().fit(planted.contexts, planted.titles)


def through_a_file(stored: Stored) -> Stored:
    arrays, meta = stored
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    file.seek(0)
    return dict(np.load(file, allow_pickle=False)), json.loads(json.dumps(meta))


def test_it_answers_as_before_it_was_stored(planted: Planted, model: ChoiceModel) -> None:
    again = from_arrays(*through_a_file(to_arrays(model)))
    assert (again.rows, again.figures) == (model.rows, model.figures)
    for context in (*planted.contexts[:50], {}, {"city": "Atlantis", "mood": "?"}):
        assert dict(again.top(context, 99)) == pytest.approx(dict(model.top(context, 99)), rel=1e-2)


def test_it_counts_on_as_before_it_was_stored(planted: Planted, model: ChoiceModel) -> None:
    again = from_arrays(*through_a_file(to_arrays(model)))
    further = ([{"city": "Neo", "mood": "sad"}] * 9, ["New"] * 9)
    before = to_arrays(model)[0]
    one, other = model.updated(*further), again.updated(*further)
    after = to_arrays(model)[0]
    assert all(np.array_equal(before[name], after[name]) for name in before)
    for context in (*planted.contexts[:9], further[0][0]):
        assert dict(one.top(context, 99)) == pytest.approx(dict(other.top(context, 99)), rel=1e-2)


def test_many_choices_take_little_room() -> None:
    planted = Planted(PLANS["habits"](20_000, 500), 2)
    arrays, meta = to_arrays(ChoiceModel().fit(planted.contexts, planted.titles))
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    assert len(file.getvalue()) + len(json.dumps(meta)) < 250_000


def test_what_learned_nothing_is_not_stored() -> None:
    with pytest.raises(ValueError, match="nothing was learned"):
        to_arrays(ChoiceModel())


def refused(stored: Stored) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        from_arrays(*stored)
    assert type(caught.value) is ValueError
    return str(caught.value)


BREAKS: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "a title twice": lambda _, meta: meta["titles"].__setitem__(0, meta["titles"][1].upper()),
    "a title of nothing": lambda _, meta: meta["titles"].__setitem__(0, " "),
    "a title too few": lambda _, meta: meta["titles"].pop(),
    "no titles": lambda _, meta: meta.update(titles=[]),
    "rows as text": lambda _, meta: meta.update(rows="7"),
    "a field missing": lambda _, meta: meta["values"].pop("mood"),
    "a value twice": lambda _, meta: meta["values"].update(mood=["sad", "sad"]),
    "a place nowhere": lambda _, meta: meta.update(place=99),
    "a drift of nothing": lambda _, meta: meta.update(drift=0.0),
    "recent without a rate": lambda arrays, _: arrays.update(recent=arrays["recent"] * 0),
    "a field too wide": lambda _, meta: meta["weights"].update(fields=[[0, 1, 2]]),
    "a field nowhere": lambda _, meta: meta["weights"]["fields"].__setitem__(0, [99]),
    "weights missing": lambda _, meta: meta["weights"]["exponents"].pop(),
    "weights not finite": lambda _, meta: meta["weights"]["popularities"].__setitem__(
        0, float("nan")
    ),
    "no share at all": lambda _, meta: meta["weights"].update(
        popularities=[0.0] * 3, mixture=[0.0] * len(meta["weights"]["mixture"])
    ),
    "a popularity too few": lambda _, meta: meta["weights"]["popularities"].pop(),
    "counts missing": lambda arrays, _: arrays.pop("chosen"),
    "counts of text": lambda arrays, _: arrays.update(chosen=np.array(["1"])),
    "counts below zero": lambda arrays, _: arrays.update(chosen=-arrays["chosen"]),
    "counts not finite": lambda arrays, _: arrays.update(chosen=arrays["chosen"] * np.nan),
    "no array": lambda arrays, _: arrays.update(chosen=[1.0]),
    "places below zero": lambda arrays, _: arrays.update(over_places=arrays["chosen"] - 1e9),
}


@pytest.mark.parametrize("harm", BREAKS.values(), ids=BREAKS.keys())
def test_it_refuses_what_cannot_be(
    model: ChoiceModel, harm: Callable[[dict[str, Any], dict[str, Any]], object]
) -> None:
    arrays, meta = through_a_file(to_arrays(model))
    harm(arrays, meta)
    assert refused((arrays, meta))


@pytest.mark.parametrize("kind", ["films", "counts", "lengths", "pairs"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda array: array[:-1],
        lambda array: np.append(array, array[-1:]),
        lambda array: array.astype(str),
        lambda array: np.where(array == array, np.iinfo(np.int32).max, 0),  # noqa: PLR0124
    ],
)
def test_it_refuses_counts_that_cannot_be(
    model: ChoiceModel, kind: str, harm: Callable[[Any], Any]
) -> None:
    arrays, meta = through_a_file(to_arrays(model))
    name = next(name for name in sorted(arrays) if name.startswith(kind))
    arrays[name] = harm(arrays[name])
    assert refused((arrays, meta))


@given(st.data())
@settings(max_examples=40)
def test_any_json_in_place_of_a_part_is_refused_or_works(data: st.DataObject) -> None:
    model = ChoiceModel().fit([{"mood": "sad"}, {}], ["Ikiru", "Ran"])
    arrays, meta = through_a_file(to_arrays(model))
    value = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=5,
        )
    )
    meta[data.draw(st.sampled_from(sorted(meta)))] = value
    try:
        model = from_arrays(arrays, meta)
    except ValueError:
        refused((arrays, meta))
    else:
        assert len(model.top({"mood": "sad"}, 5)) == 2
