from __future__ import annotations

import ast
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import moodflix
from moodflix.films import titles
from moodflix.recommend.learned import model as context_model
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.recommend.query import Query, Recommender
from moodflix.requests import CONTEXT
from tests.recommender_contract import EVENING, ODD, RecommenderContract

MOODS = ("happy", "sad", "angry", "fear")
WEATHERS = ("clear", "rain", "snow")
Row = tuple[dict[str, str], str]


def planted(seed: int, rows: int) -> list[Row]:
    """Choices where the mood decides half of them, the weather a quarter, fame the rest."""
    rng = random.Random(seed)
    fame = [1 / (place + 1) for place in range(12)]
    made: list[Row] = []
    for _ in range(rows):
        mood, weather = rng.choice(MOODS), rng.choice(WEATHERS)
        context = {
            "city": rng.choice(("Seoul", "Busan")),
            "weekday": rng.choice(("Monday", "Friday", "Sunday")),
            "weather_desc": weather,
            "temperature": str(rng.randint(-10, 35)),
            "mood": mood,
        }
        drawn = rng.random()
        if drawn < 0.5:
            film = f"For the {mood} {rng.randint(1, 2)}"
        elif drawn < 0.75:
            film = f"For {weather}"
        else:
            film = f"Famous {rng.choices(range(12), fame)[0]}"
        made.append((context, film))
    return made


def learned(rows: Sequence[tuple[Mapping[str, str], str]]) -> ChoiceModel:
    return ChoiceModel().fit([context for context, _ in rows], [film for _, film in rows])


class TestContextRecommender(RecommenderContract):
    names = 24

    @pytest.fixture
    def recommender(self) -> Recommender:
        recommender = LearnedRecommender()
        rows = planted(1, 600)
        rows += [({"mood": "sad"}, "\u201cfor clear\u201d"), ({}, "Parasite (2019)"), ({}, '""')]
        recommender.model = learned(rows)
        return recommender


class TestContextRecommenderBeforeTheFirstChoice(RecommenderContract):
    names = 0

    @pytest.fixture
    def recommender(self) -> Recommender:
        return LearnedRecommender()


@pytest.mark.parametrize("context", [{}, EVENING.context, {"mood": "sad", "city": "Nowhere"}])
def test_probabilities_over_the_known_films_sum_to_1(context: Mapping[str, str]) -> None:
    rows = planted(2, 300)
    ranked = learned(rows).top(context, 1_000)
    assert {film for film, _ in ranked} == {film for _, film in rows}
    assert math.isclose(sum(share for _, share in ranked), 1, rel_tol=1e-6)
    assert all(0 < share < 1 for _, share in ranked)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_planted_preferences_are_learned_clearly_better_than_popularity(seed: int) -> None:
    rows = planted(seed, 1_200)
    known, held_out = rows[:800], rows[800:]
    model = learned(known)
    popular = {film for film, _ in Counter(film for _, film in known).most_common(3)}
    by_model = [film in dict(model.top(context, 3)) for context, film in held_out]
    by_fame = [film in popular for _, film in held_out]
    # A guesser who knew the plan would be right about three times in four.
    assert sum(by_model) / len(held_out) > 0.55
    assert sum(by_model) > 2 * sum(by_fame)


def test_a_preference_turns_the_first_place() -> None:
    rows = [({"mood": "sad"}, "Blue"), ({"mood": "happy"}, "Red")] * 30 + [({}, "Red")]
    model = learned(rows)
    assert model.top({"mood": "sad"}, 1)[0][0] == "Blue"
    assert model.top({"mood": "happy"}, 1)[0][0] == "Red"
    # Spelled otherwise it is the same mood.
    assert model.top({"mood": "\uc6b0\uc6b8\ud574\uc694"}, 2) == model.top({"mood": " SAD "}, 2)


def test_an_unknown_context_falls_back_to_popularity() -> None:
    rows = [({"mood": "sad"}, "Rare")] + [({"mood": "sad"}, "Common")] * 5
    model = learned(rows)
    for context in ({}, {"mood": ODD["unknown-word"]}, {"weather_desc": "laoading"}):
        assert [film for film, _ in model.top(context, 9)] == ["Common", "Rare"]


def test_nothing_is_learned_from_no_rows() -> None:
    model = learned([])
    assert (model.rows, model.top({}, 10)) == (0, [])


def test_it_forgets_when_it_learns_from_no_rows() -> None:
    model = learned(planted(6, 20)).fit([], [])
    assert (model.rows, model.top({}, 10)) == (0, [])


def test_one_row_is_enough() -> None:
    model = learned([({}, "Ikiru")])
    assert (model.rows, model.top({"mood": "sad"}, 10)) == (1, [("Ikiru", 1.0)])


def test_spelling_variants_are_one_film_shown_as_last_spelled() -> None:
    spelled = ['"""Mother"""', "MOTHER", "mother (2009)", "\u201cMother\u201d (2009)"]
    model = learned([({}, title) for title in spelled])
    assert model.rows == 4
    assert model.top({}, 10) == [("\u201cMother\u201d (2009)", 1.0)]
    recommender = LearnedRecommender()
    recommender.model = model
    [pick] = recommender.rank(Query(), 10)
    assert (pick.title, pick.year) == ("Mother", 2009)


def test_an_empty_title_is_no_film() -> None:
    model = learned([({}, '""'), ({}, "Ikiru"), ({}, "''")])
    assert (model.rows, model.top({}, 10)) == (1, [("Ikiru", 1.0)])


def test_a_batch_at_a_time_teaches_the_same_as_all_at_once() -> None:
    rows = planted(7, 500)
    contexts, films = [context for context, _ in rows], [film for _, film in rows]
    cuts = [0, 1, 130, 131, 500]
    batches = ((contexts[a:b], films[a:b]) for a, b in pairwise(cuts))
    streamed = ChoiceModel().fit_stream(batches)
    at_once = ChoiceModel().fit(contexts, films)
    for context in (*contexts[:5], {}, EVENING.context):
        assert streamed.top(context, 50) == at_once.top(context, 50)
    assert streamed.figures == at_once.figures


def test_a_row_counts_as_much_as_it_weighs() -> None:
    contexts: list[dict[str, str]] = [{}, {}, {}, {}]
    batch = (contexts, ["Ikiru", "Ran", "Ran", "Nothing"], [3.0, 0.5, 0.5, 0.0])
    assert ChoiceModel().fit_stream([batch]).top({}, 5) == [("Ikiru", 0.75), ("Ran", 0.25)]


def test_fitted_twice_it_answers_the_same() -> None:
    rows = planted(8, 400)
    one, other = learned(rows), learned(rows)
    assert one.top(EVENING.context, 50) == other.top(EVENING.context, 50)
    assert one.figures == other.figures


def test_further_choices_are_counted_at_once() -> None:
    before = learned(planted(9, 600))
    ranked = before.top({"mood": "sad"}, 30)
    after = before.updated([{"mood": "sad"}] * 80, ["Ran"] * 79 + ['""'])
    assert after.rows == before.rows + 79
    assert after.top({"mood": "sad"}, 1)[0][0] == "Ran"
    sad, happy = (dict(after.ranking({"mood": mood})) for mood in ("sad", "happy"))
    assert sad["Ran"] > happy["Ran"]
    assert math.isclose(sum(sad.values()), 1, rel_tol=1e-6)
    # The model that answers meanwhile is left as it is.
    assert before.top({"mood": "sad"}, 30) == ranked
    assert "Ran" not in dict(before.ranking({}))


def test_counting_on_leads_to_the_counts_of_counting_anew() -> None:
    # So few are popularity, whose counts show.
    rows = planted(10, 30)
    grown = learned(rows[:20]).updated([c for c, _ in rows[20:]], [film for _, film in rows[20:]])
    assert dict(grown.top({}, 99)) == pytest.approx(dict(learned(rows).top({}, 99)))


def test_counting_on_from_nothing_is_learning() -> None:
    rows = planted(11, 100)
    grown = ChoiceModel().updated([c for c, _ in rows], [film for _, film in rows])
    assert grown.top({"mood": "sad"}, 9) == learned(rows).top({"mood": "sad"}, 9)
    assert grown.updated([], []).top({}, 9) == grown.top({}, 9)


def test_a_value_first_met_while_counting_on_is_told_apart_from_then_on() -> None:
    cities = ["Seoul", "Busan", "Daegu"]
    rows: list[Row] = [({"city": cities[at % 3]}, f"Of {cities[at % 3]}") for at in range(300)]
    model = learned(rows).updated([{"city": "Jeju"}] * 30, ["Of Jeju"] * 30)
    assert [model.top({"city": city}, 1)[0][0] for city in (*cities, "Jeju")] == [
        "Of Seoul",
        "Of Busan",
        "Of Daegu",
        "Of Jeju",
    ]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(CONTEXT), st.text(max_size=8)), st.text(max_size=6)
        ),
        max_size=60,
    ),
    st.dictionaries(st.sampled_from(CONTEXT), st.text(max_size=8)),
)
@settings(max_examples=40)
def test_any_text_can_be_learned_and_asked_about(rows: list[Row], context: dict[str, str]) -> None:
    model = learned(rows)
    ranked = model.top(context, 100)
    assert len(ranked) == len({titles.key(titles.tidy(film)) for _, film in rows} - {""})
    assert not ranked or math.isclose(sum(share for _, share in ranked), 1, rel_tol=1e-6)


def test_nothing_in_the_package_pickles() -> None:
    forbidden = {"pickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    paths = list(Path(moodflix.__path__[0]).rglob("*.py"))
    assert Path(context_model.__file__) in paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert forbidden.isdisjoint(name.split(".")[0] for name in names), path
