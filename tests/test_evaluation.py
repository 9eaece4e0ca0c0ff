from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.errors import InvalidInputError
from moodflix.learning import evaluation
from moodflix.learning.evaluation import (
    METRICS,
    MODELS,
    Popularity,
    Result,
    Split,
    runs,
    split_rows,
    summary,
)
from moodflix.requests import CONTEXT

Context = dict[str, str]


def context(**known: str) -> Context:
    return dict.fromkeys(CONTEXT, "") | known


def planted(rows: int, seed: int = 1) -> tuple[list[Context], list[str]]:
    """Choices where the mood decides all but one in ten."""
    rng = random.Random(seed)
    contexts, chosen = [], []
    for _ in range(rows):
        mood = rng.choice(("happy", "sad", "angry", "fear"))
        place = rng.randrange(5)
        contexts.append(context(mood=mood, city=f"City {place}", lat=f"{place}.5", lon="7"))
        film = f"For the {mood} {rng.randint(1, 3)}"
        chosen.append(film if rng.random() < 0.9 else f"Any {rng.randint(1, 20)}")
    return contexts, chosen


def results(split: Split = "random", rows: int = 400, seeds: int = 1) -> dict[str, Result]:
    return {each.model: each for each in summary(runs(*planted(rows), split, seeds))}


contexts_of_cities = st.lists(st.sampled_from(["Seoul", "seoul ", "Busan", "", "Oslo"])).map(
    lambda cities: [context(city=city, lat=str(len(city))) for city in cities]
)


@given(contexts=contexts_of_cities, split=st.sampled_from(get_args(Split)), seed=st.integers(0, 99))
def test_a_row_is_learned_from_or_held_out_but_not_both(
    contexts: list[Context], split: Split, seed: int
) -> None:
    try:
        known, held = split_rows(split, contexts, seed)
    except InvalidInputError:
        assert len(contexts) < 10 or len({row["city"].strip().casefold() for row in contexts}) == 1
        return
    assert known
    assert held
    assert (known, held) == (sorted(known), sorted(held))
    assert not set(known) & set(held)
    assert (known, held) == split_rows(split, contexts, seed)
    assert {*known, *held} <= set(range(len(contexts)))
    if split == "place":
        inside, outside = (
            {contexts[row]["city"].strip().casefold() or contexts[row]["lat"] for row in rows}
            for rows in (known, held)
        )
        assert not inside & outside
    elif split == "temporal":
        assert held == list(range(held[0], held[-1] + 1))
        assert known == list(range(held[0]))
    else:
        assert len(known) + len(held) == len(contexts)


def test_the_newest_fifth_is_held_out_first() -> None:
    contexts = [context()] * 50
    assert split_rows("temporal", contexts, 0)[1] == list(range(40, 50))
    others = [split_rows("temporal", contexts, seed)[1][0] for seed in range(1, 9)]
    assert len(set(others)) > 1
    assert all(25 <= begin <= 40 for begin in others)
    assert split_rows("random", contexts, 1) != split_rows("random", contexts, 2)


def test_figures_are_what_a_hand_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MODELS", ("popularity",))
    # Learned: A 5 times, B 3 times. Held out: A, and C which nobody chose before.
    chosen = ["A", "B", "A", "B", "A", "B", "A", "A", "A", "C"]
    [result] = summary(runs([context()] * 10, chosen, "temporal", 1))
    means = {name: figures[0] for name, figures in result.figures.items()}
    assert means == pytest.approx(
        {
            "hit1": 0.5,
            "hit5": 0.5,
            "hit10": 0.5,
            "mrr": 0.5,
            "ndcg10": 0.5,
            # Over the films that were known.
            "log_loss": -math.log(5 / 8),
            "coverage": 1.0,
        }
    )
    [result] = summary(runs([context()] * 10, [*chosen[:8], "B", "B"], "temporal", 1))
    means = {name: figures[0] for name, figures in result.figures.items()}
    assert (means["hit1"], means["hit5"], means["mrr"]) == (0, 1, 0.5)
    assert means["ndcg10"] == pytest.approx(1 / math.log2(3))


def test_films_are_one_film_however_they_are_spelled() -> None:
    ranked = list(Popularity(["Mother", "“MOTHER”", "mother", "Burning"]).ranking({}))
    assert [share for _, share in ranked] == [0.75, 0.25]


@pytest.mark.parametrize("split", get_args(Split))
def test_what_depends_on_the_mood_is_found_beyond_popularity(split: Split) -> None:
    found = results(split)
    ours, popular = (found[name].figures for name in ("ours", "popularity"))
    assert ours.keys() == popular.keys() == set(METRICS)
    assert ours["ndcg10"][1] > popular["ndcg10"][2]
    assert ours["log_loss"][2] < popular["log_loss"][1]


def test_intervals_hold_the_mean_and_narrow_with_rows() -> None:
    few, many = results(rows=60)["ours"].figures, results(rows=600, seeds=2)["ours"].figures
    for figures in (few, many):
        for name in METRICS:
            value, low, high = figures[name]
            assert low <= value <= high, name
    assert many["hit1"][2] - many["hit1"][1] < few["hit1"][2] - few["hit1"][1]


def test_the_same_seeds_give_the_same_figures() -> None:
    assert results(rows=120, seeds=2) == results(rows=120, seeds=2)


def test_there_is_no_forest_outside_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "benchmarks.forest", None)
    forest = results(rows=60)["old forest"]
    assert (forest.figures, forest.note) == ({}, "only in a checkout, run from its folder")


def test_a_forest_too_big_for_the_machine_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "benchmarks.forest", SimpleNamespace())
    monkeypatch.setattr(evaluation, "_MAX_FOREST_BYTES", 100)
    forest = results(rows=60)["old forest"]
    assert forest.figures == {}
    assert forest.note.startswith("left out: it would take some")


def test_each_model_is_measured_once_for_each_seed() -> None:
    done = list(runs(*planted(60), "random", 3))
    assert [run.model for run in done] == [*MODELS] * 3
    assert all(run.note or len(run.rows) == 12 for run in done)


@pytest.mark.parametrize(
    ("contexts", "split", "error"),
    [
        ([context()] * 9, "random", "10 choices or more are needed to hold some out"),
        ([context(city="Seoul")] * 20, "place", "all choices are from one place"),
    ],
)
def test_too_little_to_hold_out_is_one_line(
    contexts: Sequence[Context], split: Split, error: str
) -> None:
    with pytest.raises(InvalidInputError, match=error):
        list(runs(contexts, ["Mother"] * len(contexts), split, 1))


def test_a_probability_of_nothing_is_a_finite_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sure:
        def ranking(self, _: Mapping[str, str]) -> Iterable[tuple[str, float]]:
            return [("A", 1.0), ("B", 0.0)]

    monkeypatch.setattr(evaluation, "MODELS", ("ours",))
    monkeypatch.setattr(evaluation, "_fitted", lambda *_: Sure())
    [result] = summary(runs([context()] * 10, ["A", "B"] * 5, "temporal", 1))
    assert result.figures["log_loss"][0] == pytest.approx(-math.log(1e-9) / 2)
