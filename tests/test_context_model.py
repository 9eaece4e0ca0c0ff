from __future__ import annotations

import ast
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import moodflix
from moodflix.recommend import context_model
from moodflix.recommend.context_model import (
    MAX_FILMS,
    MAX_ROWS,
    MAX_TOKENS,
    ContextModel,
    ContextRecommender,
    tokens,
)
from moodflix.recommend.ranking import Query, Recommender
from tests.recommender_contract import EVENING, ODD, RecommenderContract

MOODS = ("happy", "sad", "angry", "fear")
WEATHERS = ("clear", "rain", "snow")
Row = tuple[dict[str, str], str]


def planted(seed: int, rows: int) -> list[Row]:
    """Choices where the mood decides half of them, the weather a quarter, fame the rest."""
    chance = random.Random(seed)
    fame = [1 / (place + 1) for place in range(12)]
    made: list[Row] = []
    for _ in range(rows):
        mood, weather = chance.choice(MOODS), chance.choice(WEATHERS)
        context = {
            "city": chance.choice(("Seoul", "Busan")),
            "weekday": chance.choice(("Monday", "Friday", "Sunday")),
            "weather_desc": weather,
            "temperature": str(chance.randint(-10, 35)),
            "mood": mood,
        }
        drawn = chance.random()
        if drawn < 0.5:
            film = f"For the {mood} {chance.randint(1, 2)}"
        elif drawn < 0.75:
            film = f"For {weather}"
        else:
            film = f"Famous {chance.choices(range(12), fame)[0]}"
        made.append((context, film))
    return made


def learned(rows: Sequence[tuple[Mapping[str, str], str]]) -> ContextModel:
    return ContextModel().fit([context for context, _ in rows], [film for _, film in rows])


class TestContextRecommender(RecommenderContract):
    names = 24

    @pytest.fixture
    def recommender(self) -> Recommender:
        recommender = ContextRecommender()
        rows = planted(1, 600)
        rows += [({"mood": "sad"}, "\u201cfor clear\u201d"), ({}, "Parasite (2019)"), ({}, '""')]
        recommender.model = learned(rows)
        return recommender


class TestContextRecommenderBeforeTheFirstChoice(RecommenderContract):
    names = 0

    @pytest.fixture
    def recommender(self) -> Recommender:
        return ContextRecommender()


@pytest.mark.parametrize("context", [{}, EVENING.context, {"mood": "sad", "city": "Nowhere"}])
def test_probabilities_over_the_known_films_sum_to_1(context: Mapping[str, str]) -> None:
    rows = planted(2, 300)
    ranked = learned(rows).top(context, 1_000)
    assert {film for film, _ in ranked} == {film for _, film in rows}
    assert math.isclose(sum(share for _, share in ranked), 1, rel_tol=1e-9)
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
    rows = [({"mood": "sad"}, "Blue"), ({"mood": "happy"}, "Red")] * 10 + [({}, "Red")]
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
    recommender = ContextRecommender()
    recommender.model = model
    [pick] = recommender.rank(Query(), 10)
    assert (pick.title, pick.year) == ("Mother", 2009)


def test_an_empty_title_is_no_film() -> None:
    model = learned([({}, '""'), ({}, "Ikiru"), ({}, "''")])
    assert (model.rows, model.top({}, 10)) == (1, [("Ikiru", 1.0)])


def test_only_the_most_chosen_films_are_learned() -> None:
    rows: list[Row] = [({}, f"Film {place}") for place in range(MAX_FILMS + 50)]
    twice: list[Row] = [({}, f"Film {place}") for place in range(50, MAX_FILMS + 50)]
    model = learned(rows + twice)
    assert {film for film, _ in model.top({}, 10_000)} == {film for _, film in twice}
    assert model.rows == 2 * MAX_FILMS


def test_only_the_newest_rows_are_learned_each_in_its_context() -> None:
    rows = [({"mood": MOODS[place % 3]}, f"New {place % 3}") for place in range(MAX_ROWS)]
    model = learned([({"mood": "sad"}, "Old"), *rows])
    assert model.rows == MAX_ROWS
    assert sorted(film for film, _ in model.top({}, 10)) == ["New 0", "New 1", "New 2"]
    assert [model.top({"mood": MOODS[place]}, 1)[0][0] for place in range(3)] == [
        "New 0",
        "New 1",
        "New 2",
    ]


def test_a_million_cities_do_not_fill_the_memory() -> None:
    rows = [
        ({"city": f"City {place}", "mood": "sad", "tone": f"odd {place}"}, f"Film {place % 2}")
        for place in range(2 * MAX_TOKENS)
    ]
    model = learned(rows)
    vocabulary: dict[str, Any] = model.pipeline["encode"].vocabulary_
    assert len(vocabulary) == MAX_TOKENS
    # What many rows share is what is kept.
    assert {"*", "mood=sad"} <= vocabulary.keys()


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, ["*"]),
        ({"mood": "", "tone": "  "}, ["*"]),
        (
            {"weather_desc": "Light Rain", "temperature": "12.5"},
            ["*", "weather=rain", "warmth=mild"],
        ),
        ({"weekday": "\uc218\uc694\uc77c"}, ["*", "weekday=wednesday"]),
        (
            {"today_status": "Weekend", "tomorrow_status": "Moving"},
            ["*", "today=holiday", "tomorrow=moving"],
        ),
        ({"city": "S\u00e3o Paulo", "lat": "-23.55", "lon": "-46.6"}, ["*", "city=sao paulo"]),
        ({"lat": "37.512", "lon": "127.04"}, ["*", "place=37.5/127.0"]),
        ({"lat": "37.512", "lon": "nan"}, ["*"]),
        ({"weather_desc": "laoading", "temperature": "inf"}, ["*"]),
        ({"mood": "Nostalgic", "tone": "Odd"}, ["*", "mood=sad", "tone=odd"]),
    ],
)
def test_a_context_is_read_as_words(context: dict[str, str], expected: list[str]) -> None:
    assert tokens(context) == expected


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
