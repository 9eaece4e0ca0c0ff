from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.recommend.fusion import FusedPick, RankedList, evidence_weight, fuse
from moodflix.recommend.query import Pick

# Few letters, so that lists meet; no article among them.
TITLES = st.lists(st.sampled_from("BCDEFGHIJK"), unique=True, max_size=10)
WEIGHTS = st.floats(0.01, 1)


def ranked(name: str, titles: Sequence[str], weight: float = 1.0) -> RankedList:
    return RankedList(name, [Pick(title) for title in titles], weight)


@st.composite
def lists(draw: st.DrawFn) -> list[RankedList]:
    names = draw(st.lists(st.sampled_from(["llm", "context", "catalogue", "more"]), unique=True))
    return [ranked(name, draw(TITLES), draw(WEIGHTS)) for name in names]


def scores(fused: Sequence[FusedPick]) -> dict[str, float]:
    return {each.pick.title: each.score for each in fused}


@given(lists(), st.randoms(use_true_random=False))
def test_the_order_of_the_lists_does_not_change_scores(
    ranked_lists: list[RankedList], rng: random.Random
) -> None:
    shuffled = list(ranked_lists)
    rng.shuffle(shuffled)
    assert scores(fuse(shuffled, 100)) == pytest.approx(scores(fuse(ranked_lists, 100)))


@given(lists(), st.integers(0, 12))
def test_it_gives_at_most_n_best_first_and_each_film_once(
    ranked_lists: list[RankedList], n: int
) -> None:
    fused = fuse(ranked_lists, n)
    named = {pick.key for each in ranked_lists for pick in each.picks}
    assert len(fused) == min(n, len(named))
    assert len({each.pick.key for each in fused}) == len(fused)
    assert [each.score for each in fused] == sorted((each.score for each in fused), reverse=True)
    assert fused == fuse(ranked_lists, 100)[:n]


@given(lists())
def test_the_sources_are_the_ranks_in_the_lists(ranked_lists: list[RankedList]) -> None:
    for each in fuse(ranked_lists, 100):
        assert each.sources == {
            one.name: place
            for one in ranked_lists
            for place, pick in enumerate(one.picks, start=1)
            if pick.key == each.pick.key
        }


@given(lists(), TITLES)
def test_a_list_of_weight_0_is_left_out(ranked_lists: list[RankedList], titles: list[str]) -> None:
    assert fuse([ranked("silent", titles, 0), *ranked_lists], 100) == fuse(ranked_lists, 100)


@given(TITLES.filter(bool), TITLES, WEIGHTS, WEIGHTS, st.data())
def test_a_film_in_two_lists_beats_the_same_rank_in_one(
    first: list[str], second: list[str], weight: float, other: float, data: st.DataObject
) -> None:
    rank = data.draw(st.integers(0, len(first) - 1))
    second = [title for title in second if title != first[rank]]
    alone = fuse([ranked("llm", first, weight), ranked("context", second, other)], 100)
    place = data.draw(st.integers(0, len(second)))
    joined = [*second[:place], first[rank], *second[place:]]
    both = fuse([ranked("llm", first, weight), ranked("context", joined, other)], 100)
    assert scores(both)[first[rank]] > scores(alone)[first[rank]]
    same_rank = ["Only here", *"UVWXYZQRST"][rank]
    against = ranked("catalogue", [*"123456789"[:rank], same_rank], weight)
    found = scores(fuse([ranked("llm", first, weight), ranked("context", joined), against], 100))
    assert found[first[rank]] > found[same_rank]


@given(TITLES, st.integers(1, 5))
def test_only_the_proportion_of_the_weights_matters(titles: list[str], factor: int) -> None:
    reversed_titles = titles[::-1]
    light = fuse([ranked("llm", titles, 0.1), ranked("context", reversed_titles, 0.2)], 100)
    heavy = fuse(
        [ranked("llm", titles, 0.1 * factor), ranked("context", reversed_titles, 0.2 * factor)], 100
    )
    assert {title: score * factor for title, score in scores(light).items()} == pytest.approx(
        scores(heavy)
    )


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_evidence_grows_with_rows_between_0_and_1(rows: int, more: int) -> None:
    assert 0 <= evidence_weight(rows) <= evidence_weight(rows + more) <= 1


def test_evidence_starts_at_nothing_and_never_stops_growing_early() -> None:
    assert evidence_weight(0) == 0
    steps = [evidence_weight(rows) for rows in (1, 10, 100, 1_000, 10_000)]
    assert all(small < large for small, large in itertools.pairwise(steps))
    assert steps[-1] > 0.95


def test_ties_keep_the_order_of_the_lists() -> None:
    fused = fuse([ranked("llm", ["B", "C"]), ranked("catalogue", ["D", "E"])], 10)
    assert [each.pick.title for each in fused] == ["B", "D", "C", "E"]


def test_a_shared_film_has_the_first_spelling_any_year_and_each_reason() -> None:
    llm = RankedList("llm", [Pick("Mother", why="She will not give up.")])
    log = RankedList("context", [Pick("Ikiru"), Pick("MOTHER", 2009)])
    fused = fuse([llm, log], 10)
    assert fused[0].pick.title == "Mother"
    assert fused[0].pick.year == 2009
    assert fused[0].sources == {"llm": 1, "context": 2}
    assert fused[0].whys == {"llm": "She will not give up.", "context": ""}


@pytest.mark.parametrize("rows", [100, 1_000, 10_000])
@pytest.mark.parametrize("llm_films", [3, 5, 10])
def test_no_list_drowns_another_in_the_top_10(rows: int, llm_films: int) -> None:
    llm = ranked("llm", [f"Llm {place}" for place in range(llm_films)])
    log = ranked("context", [f"Log {place}" for place in range(30)], evidence_weight(rows))
    catalogue = ranked("catalogue", [f"Shipped {place}" for place in range(30)])
    named = [name for each in fuse([llm, log, catalogue], 10) for name in each.sources]
    assert all(named.count(name) >= 2 for name in ("llm", "context", "catalogue")), named
    assert all(named.count(name) <= 5 for name in ("llm", "context", "catalogue")), named


def test_a_young_log_says_less_than_the_catalogue_and_an_old_one_as_much() -> None:
    def places(rows: int) -> int:
        log = ranked("context", [f"Log {place}" for place in range(30)], evidence_weight(rows))
        catalogue = ranked("catalogue", [f"Shipped {place}" for place in range(30)])
        return sum("context" in each.sources for each in fuse([log, catalogue], 10))

    assert places(2) == 0
    assert 0 < places(30) < 5
    assert places(10_000) == 5
