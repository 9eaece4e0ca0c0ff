from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.recommend.fusion import (
    MAX_WEIGHT,
    MIN_WEIGHT,
    PRIORS,
    ChoiceSet,
    FusedPick,
    RankedList,
    fit_weights,
    fuse,
    with_exploration,
)
from moodflix.recommend.query import Pick, Query

NAMES = tuple(PRIORS)
RANKS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 50), min_size=1)


@st.composite
def answers(draw: st.DrawFn) -> ChoiceSet:
    sources = draw(st.lists(RANKS, min_size=1, max_size=10))
    return ChoiceSet(sources, draw(st.integers(0, len(sources) - 1)))


def chosen_by(liking: Mapping[str, float], answers: int, seed: int = 0) -> list[ChoiceSet]:
    """Answers of a film a recommender in turn, read from the top, each film taken by its list."""
    rng = random.Random(seed)
    found: list[ChoiceSet] = []
    while len(found) < answers:
        order = rng.sample(list(liking), len(liking)) * 3
        sources = [{name: at // len(liking) + 1} for at, name in enumerate(order)]
        taken = (at for at, name in enumerate(order) if rng.random() < liking[name])
        at = next(taken, None)
        if at is not None:
            found.append(ChoiceSet(sources, at))
    return found


def lists(*names: str, films: int = 30) -> list[FusedPick]:
    return fuse(
        [RankedList(name, [Pick(f"{name} {at}") for at in range(films)]) for name in names], 100
    )


def test_without_a_choice_the_priors_stand() -> None:
    assert fit_weights([]) == PRIORS


@given(st.lists(answers(), max_size=30))
def test_weights_stay_within_bounds(shown: list[ChoiceSet]) -> None:
    weights = fit_weights(shown)
    assert weights.keys() == PRIORS.keys()
    assert all(MIN_WEIGHT <= weight <= MAX_WEIGHT for weight in weights.values())


@given(answers())
def test_one_choice_moves_little(shown: ChoiceSet) -> None:
    weights = fit_weights([shown])
    assert all(abs(weights[name] - PRIORS[name]) < 0.45 for name in NAMES)


@given(st.lists(answers(), max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_the_answers_does_not_matter(
    shown: list[ChoiceSet], rng: random.Random
) -> None:
    assert fit_weights(rng.sample(shown, len(shown))) == pytest.approx(fit_weights(shown), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_who_is_worth_more(seed: int) -> None:
    weights = fit_weights(chosen_by({"llm": 0.6, "context": 0.3, "catalogue": 0.1}, 200, seed))
    assert weights["llm"] > weights["context"] > weights["catalogue"]


@pytest.mark.parametrize("seed", range(5))
def test_equals_stay_equal(seed: int) -> None:
    weights = fit_weights(chosen_by({"llm": 0.3, "context": 0.3, "catalogue": 0.3}, 400, seed))
    assert all(0.75 < weight < 1.3 for weight in weights.values()), weights


def test_more_choices_say_it_more_clearly() -> None:
    liking = {"context": 0.5, "catalogue": 0.1}
    few, many = (fit_weights(chosen_by(liking, answers))["catalogue"] for answers in (4, 300))
    assert PRIORS["catalogue"] > few > many


def test_a_choice_of_the_first_place_says_less_than_one_of_the_last() -> None:
    sources = [{"llm": 1}, {"context": 1}, {"llm": 2}, {"context": 2}]
    first, last = (fit_weights([ChoiceSet(sources, at)] * 5) for at in (0, 2))
    assert last["llm"] - last["context"] > first["llm"] - first["context"] > 0


def test_who_was_never_shown_keeps_its_word_beside_equals() -> None:
    shown = chosen_by({"context": 0.3, "catalogue": 0.3}, 300)
    assert fit_weights(shown)["llm"] == pytest.approx(1, abs=0.2)


def test_one_place_in_ten_explores() -> None:
    fused = lists("context", "catalogue")
    for limit in (5, 10, 20, 50):
        shown = [with_exploration(fused, limit, Query(seed=seed)) for seed in range(400)]
        share = sum(each.explore for answer in shown for each in answer) / (400 * limit)
        # Fifty films from a hundred leave fewer to explore than from more.
        assert share == pytest.approx(0.1, abs=0.015), limit


def test_ten_places_always_have_one_and_five_have_it_every_second_time() -> None:
    fused = lists("context", "catalogue")
    counts = {
        limit: [
            sum(each.explore for each in with_exploration(fused, limit, Query(seed=seed)))
            for seed in range(400)
        ]
        for limit in (5, 10)
    }
    assert set(counts[10]) == {1}
    assert set(counts[5]) == {0, 1}
    assert 160 < sum(counts[5]) < 240


@given(st.integers(0, 50), st.integers(), st.integers(0, 30))
def test_what_is_explored_would_not_be_shown(limit: int, seed: int, films: int) -> None:
    fused = lists("llm", "catalogue", films=films)
    shown = with_exploration(fused, limit, Query(seed=seed))
    assert len(shown) == min(limit, len(fused))
    assert len({each.pick.key for each in shown}) == len(shown)
    assert shown[:3] == fused[:3][:limit]
    best = [each.pick for each in fused[:limit]]
    for each in shown:
        assert each.explore == (each.pick not in best)
    # Every film of the LLM's that would be shown is.
    assert [each for each in fused[:limit] if "llm" in each.sources] == [
        each for each in shown if "llm" in each.sources and not each.explore
    ]


def test_a_film_nobody_knows_is_not_explored() -> None:
    known = [Pick(f"Known {at}") for at in range(10)]
    odd = [Pick(f"Odd {at}", known=False) for at in range(20)]
    for seed in range(20):
        shown = with_exploration(
            fuse([RankedList("catalogue", known + odd)], 30), 10, Query(seed=seed)
        )
        assert not any(each.explore for each in shown)


def test_an_evening_explores_the_same_film_again_and_another_evening_others() -> None:
    fused = lists("context", "catalogue")

    def found(query: Query) -> str:
        [title] = [each.pick.title for each in with_exploration(fused, 10, query) if each.explore]
        return title

    evening = Query({"mood": "sad", "city": "Seoul"}, date="2026-01-05")
    assert found(evening) == found(Query({"mood": "sad", "city": "Seoul"}, date="2026-01-05"))
    others = {
        found(Query({"mood": "sad", "city": "Seoul"}, date=f"2026-01-{day:02}"))
        for day in range(1, 31)
    }
    assert len(others) > 5
    assert found(Query(seed=4)) == found(Query(seed=4, date="2026-02-01"))
