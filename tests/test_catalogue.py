from __future__ import annotations

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

import pytest

from moodflix import films, moods, titles
from moodflix.errors import RecommenderError
from moodflix.models import Film
from moodflix.recommend import policy
from moodflix.recommend.catalogue import Catalogue
from moodflix.recommend.ranking import Query, Recommender
from tests.recommender_contract import RecommenderContract

GENRES = set(
    "action adventure animation biography comedy crime documentary drama family fantasy history "
    "horror music musical mystery noir romance sci-fi sport thriller war western".split()
)
TONES = set(
    "dark dreamy eerie epic gritty melancholic playful tender tense uplifting warm wry".split()
)
ASIA = set("BT CN HK ID IN IR JP KR MN PH TH TW VN".split())
FILMS = {(film.title, film.year): film for film in films.shipped()}
DEPTH = 30


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(films.shipped)


class TestCatalogue(RecommenderContract):
    names = 50

    @pytest.fixture
    def recommender(self, catalogue: Catalogue) -> Recommender:
        return catalogue


def top(catalogue: Catalogue, n: int = DEPTH, **asked: Any) -> list[Film]:
    query = {name: asked.pop(name) for name in ("hour", "words", "liked") if name in asked}
    excluded = frozenset(titles.key(title) for title in query.get("liked", ()))
    picks = catalogue.rank(Query(context=asked, excluded=excluded, **query), n)
    return [FILMS[pick.title, pick.year or 0] for pick in picks]


def share(found: list[Film], holds: Callable[[Film], bool]) -> float:
    return sum(map(holds, found)) / len(found)


def test_the_data_file_keeps_its_schema() -> None:
    text = (resources.files("moodflix.data") / "films.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) >= 700
    assert list(rows[0]) == ["title", "year", "countries", "genres", "moods", "tone", "themes"]
    for row in rows:
        assert titles.tidy(row["title"]) == row["title"] != ""
        assert titles.split_year(row["title"]) == (row["title"], None)
        assert 1888 <= int(row["year"]) <= 2025
        lists = {name: row[name].split(";") for name in ("countries", "genres", "moods", "themes")}
        assert all(len(set(values)) == len(values) for values in lists.values()), row
        assert all(len(code) == 2 and code.isupper() for code in lists["countries"]), row
        assert set(lists["genres"]) <= GENRES, row
        assert set(lists["moods"]) <= set(moods.MOODS), row
        assert 1 <= len(lists["moods"]) <= 3, row
        assert row["tone"] in TONES, row
        assert 4 <= len(lists["themes"]) <= 6, row
        assert all(theme.replace("-", "").isalnum() for theme in lists["themes"]), row
        assert row["themes"] == row["themes"].lower(), row


def test_no_film_ships_twice() -> None:
    shipped = films.shipped()
    assert len({(film.key, film.year) for film in shipped}) == len(shipped)


def test_world_cinema_is_well_represented() -> None:
    shipped = films.shipped()
    assert sum(not ASIA.isdisjoint(film.countries) for film in shipped) >= 120
    assert sum("KR" in film.countries for film in shipped) >= 80
    assert sum("US" not in film.countries for film in shipped) >= len(shipped) / 2
    assert len({country for film in shipped for country in film.countries}) >= 60
    for mood in moods.MOODS:
        assert sum(mood in film.moods for film in shipped) >= 100


def test_the_policy_names_only_traits_that_films_carry() -> None:
    carried = {"country:" + code for film in films.shipped() for code in film.countries}
    for film in films.shipped():
        carried.add(f"tone:{film.tone}")
        for kind, values in (("mood", film.moods), ("genre", film.genres), ("theme", film.themes)):
            carried.update(f"{kind}:{value}" for value in values)
    tables = (policy.MOODS, policy.TONES, policy.WEATHER, policy.WARMTH, policy.PART_OF_DAY)
    named = {trait for table in tables for traits in table.values() for trait in traits}
    named.update(policy.EVE_OF_REST, policy.EVE_OF_WORK, policy.REST_TODAY)
    typed = policy.words("funny laugh romantic scary cartoon kids korean japanese songs 한국 바다")
    named.update(trait for trait in typed if trait.startswith("country:"))
    assert named <= carried


def test_each_mood_gives_another_top_10_that_mostly_carries_it(catalogue: Catalogue) -> None:
    seen = set()
    for mood in moods.MOODS:
        found = top(catalogue, 10, mood=mood)
        assert share(found, lambda film, mood=mood: mood in film.moods) >= 0.8, mood  # type: ignore[misc]
        seen.add(frozenset(film.title for film in found))
    assert len(seen) == len(moods.MOODS)


@pytest.mark.parametrize(
    ("word", "mood"), [("heartbroken", "sad"), ("우울해요", "sad"), ("Furious", "angry")]
)
def test_a_synonym_ranks_as_its_mood(catalogue: Catalogue, word: str, mood: str) -> None:
    assert top(catalogue, mood=word) == top(catalogue, mood=mood)


@pytest.mark.parametrize(
    ("tone", "raised"), [("excited", {"epic", "playful"}), ("subdued", {"tender", "melancholic"})]
)
def test_the_tone_of_voice_moves_the_list(
    catalogue: Catalogue, tone: str, raised: set[str]
) -> None:
    def has_it(film: Film) -> bool:
        return film.tone in raised

    with_it = share(top(catalogue, 100, mood="neutral", tone=tone), has_it)
    without = share(top(catalogue, 100, mood="neutral"), has_it)
    assert with_it > without


@pytest.mark.parametrize(
    ("asked", "raised"),
    [
        ({"weather_desc": "light rain"}, {"rain"}),
        ({"weather_desc": "\ub208"}, {"snow", "winter"}),
        ({"weather_desc": "thunderstorm"}, {"storm", "rain"}),
        ({"weather_desc": "Clear sky"}, {"sun", "summer", "sea"}),
        ({"temperature": "-8"}, {"snow", "winter"}),
        ({"temperature": "33"}, {"sun", "summer", "sea"}),
        ({"hour": 23}, {"night"}),
        ({"today_status": "holiday"}, {"holiday"}),
        ({"words": "a film about trains"}, {"trains"}),
    ],
)
def test_the_evening_raises_films_that_have_it_in_them(
    catalogue: Catalogue, asked: dict[str, Any], raised: set[str]
) -> None:
    def has_it(film: Film) -> bool:
        return not raised.isdisjoint(film.themes)

    with_it = share(top(catalogue, mood="sad", **asked), has_it)
    assert with_it > share(top(catalogue, mood="sad"), has_it)


@pytest.mark.parametrize(
    ("asked", "raised"),
    [
        ({"tomorrow_status": "work"}, "comedy"),
        ({"weekday": "Sunday"}, "comedy"),
        ({"weekday": "Sunday"}, "family"),
        ({"tomorrow_status": "holiday"}, "adventure"),
        ({"weekday": "Friday"}, "adventure"),
        ({"hour": 8}, "animation"),
        ({"words": "something scary"}, "horror"),
        ({"words": "\ucf54\ubbf8\ub514 \ubcf4\uace0 \uc2f6\uc5b4"}, "comedy"),
        ({"words": "documentaries? a documentary"}, "documentary"),
    ],
)
def test_the_evening_raises_a_genre(
    catalogue: Catalogue, asked: dict[str, Any], raised: str
) -> None:
    with_it = share(
        top(catalogue, 100, mood="neutral", **asked), lambda film: raised in film.genres
    )
    without = share(top(catalogue, 100, mood="neutral"), lambda film: raised in film.genres)
    assert with_it > without


def test_a_day_said_by_hand_wins_over_the_weekday(catalogue: Catalogue) -> None:
    friday_before_work = top(catalogue, weekday="Friday", tomorrow_status="work")
    assert friday_before_work == top(catalogue, weekday="Monday", tomorrow_status="work")
    assert friday_before_work != top(catalogue, weekday="Friday")


def test_what_a_person_does_not_want_sinks(catalogue: Catalogue) -> None:
    def war(found: list[Film]) -> float:
        return share(found, lambda film: "war" in film.genres)

    plain = top(catalogue, 100, mood="angry")
    assert war(plain) > 0
    assert war(top(catalogue, 100, mood="angry", words="please no war films")) < war(plain)
    wanted = top(catalogue, 100, mood="angry", words="not sad, but war")
    assert war(wanted) > war(plain)


@pytest.mark.parametrize(
    ("named", "alike"),
    [
        ("Oldboy", lambda film: "KR" in film.countries and "thriller" in film.genres),
        ("the OLDBOY (2003)", lambda film: "KR" in film.countries and "thriller" in film.genres),
        ("My Neighbor Totoro", lambda film: "animation" in film.genres),
        ("Paterson", lambda film: film.tone == "tender"),
    ],
)
def test_a_named_film_pulls_similar_films_up(
    catalogue: Catalogue, named: str, alike: Callable[[Film], bool]
) -> None:
    with_it = share(top(catalogue, mood="surprise", liked=[named]), alike)
    assert with_it > share(top(catalogue, mood="surprise"), alike)


def test_the_year_tells_two_named_films_of_one_title_apart(catalogue: Catalogue) -> None:
    cocteau = top(catalogue, 10, liked=["Beauty and the Beast (1946)"])
    disney = top(catalogue, 10, liked=["Beauty and the Beast (1991)"])
    for traits in ({"dreamy"}, {"animation", "musical"}):
        counted = [
            sum(not traits.isdisjoint((film.tone, *film.genres)) for film in found)
            for found in (cocteau, disney)
        ]
        assert counted == sorted(counted, reverse=traits == {"dreamy"}), traits
        assert counted[0] != counted[1], traits
    assert top(catalogue, 10, liked=["Beauty and the Beast"]) == disney


def test_unknown_named_films_change_nothing(catalogue: Catalogue) -> None:
    assert top(catalogue, mood="sad", liked=["No Such Film Anywhere"]) == top(catalogue, mood="sad")


def test_an_empty_table_says_what_to_do() -> None:
    catalogue = Catalogue(list)
    with pytest.raises(RecommenderError, match="catalogue is empty; install the station again"):
        catalogue.rank(Query(), 10)


def test_eight_threads_load_the_films_once() -> None:
    loads: list[int] = []

    def load() -> list[Film]:
        loads.append(1)
        return films.shipped()

    catalogue = Catalogue(load)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: catalogue.rank(Query(), 10), range(16)))
    assert loads == [1]
    assert all(answer == answers[0] for answer in answers)
    assert len(catalogue) == len(films.shipped())
