from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from moodflix import vocabulary
from moodflix.errors import RecommenderError
from moodflix.films import shipped, titles
from moodflix.films.shipped import FAMILIES, ShippedFilm
from moodflix.perception.wishes import understand
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.query import Pick, Query, Recommender
from tests.recommender_contract import EVENING, RecommenderContract

DEPTH = 30
QUERY_FIELDS = tuple(Query.__dataclass_fields__)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


class TestCatalogue(RecommenderContract):
    names = 50

    @pytest.fixture
    def recommender(self, catalogue: Catalogue) -> Recommender:
        return catalogue


def top(catalogue: Catalogue, n: int = DEPTH, **evening: Any) -> list[ShippedFilm]:
    query = {name: evening.pop(name) for name in QUERY_FIELDS if name in evening}
    query["words"] = understand(query.get("words", ""), evening.get("mood"))
    query.setdefault("excluded", frozenset(map(titles.key, query.get("liked", ()))))
    return films_of(catalogue.rank(Query(context=evening, **query), n))


def films_of(picks: Sequence[Pick]) -> list[ShippedFilm]:
    found = [shipped.find(pick.title, pick.year) for pick in picks]
    return [film for film in found if film is not None]


def share(found: list[ShippedFilm], holds: Callable[[ShippedFilm], bool]) -> float:
    return sum(map(holds, found)) / len(found)


def test_each_mood_gives_another_top_10_that_mostly_carries_it(catalogue: Catalogue) -> None:
    seen = set()
    for mood in vocabulary.MOODS:
        found = top(catalogue, 10, mood=mood)
        assert share(found, lambda film, mood=mood: mood in film.moods) >= 0.8, mood  # type: ignore[misc]
        seen.add(frozenset(film.title for film in found))
    assert len(seen) == len(vocabulary.MOODS)


@pytest.mark.parametrize(
    ("word", "mood"), [("heartbroken", "sad"), ("우울해요", "sad"), ("Furious", "angry")]
)
def test_a_synonym_ranks_as_its_mood(catalogue: Catalogue, word: str, mood: str) -> None:
    found = top(catalogue, 10, mood=word)
    assert share(found, lambda film: mood in film.moods) >= 0.8


@pytest.mark.parametrize(
    ("tone", "raised"), [("excited", {"epic", "playful"}), ("subdued", {"tender", "melancholic"})]
)
def test_the_tone_of_voice_moves_the_list(
    catalogue: Catalogue, tone: str, raised: set[str]
) -> None:
    def has_it(film: ShippedFilm) -> bool:
        return film.tone in raised

    with_it = share(top(catalogue, 100, mood="neutral", tone=tone), has_it)
    without = share(top(catalogue, 100, mood="neutral"), has_it)
    assert with_it > without


@pytest.mark.parametrize(
    ("evening", "raised"),
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
    catalogue: Catalogue, evening: dict[str, Any], raised: set[str]
) -> None:
    def has_it(film: ShippedFilm) -> bool:
        return not raised.isdisjoint(film.themes)

    with_it = share(top(catalogue, mood="sad", **evening), has_it)
    assert with_it > share(top(catalogue, mood="sad"), has_it)


@pytest.mark.parametrize(
    ("evening", "raised"),
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
    catalogue: Catalogue, evening: dict[str, Any], raised: str
) -> None:
    with_it = share(
        top(catalogue, 100, mood="neutral", **evening), lambda film: raised in film.genres
    )
    without = share(top(catalogue, 100, mood="neutral"), lambda film: raised in film.genres)
    assert with_it > without


def test_a_day_said_by_hand_wins_over_the_weekday(catalogue: Catalogue) -> None:
    friday_before_work = top(catalogue, weekday="Friday", tomorrow_status="work")
    assert friday_before_work == top(catalogue, weekday="Monday", tomorrow_status="work")
    assert friday_before_work != top(catalogue, weekday="Friday")


def test_what_a_person_does_not_want_sinks(catalogue: Catalogue) -> None:
    def war(found: list[ShippedFilm]) -> float:
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
    catalogue: Catalogue, named: str, alike: Callable[[ShippedFilm], bool]
) -> None:
    with_it = share(top(catalogue, mood="surprise", liked=[named]), alike)
    assert with_it > share(top(catalogue, mood="surprise"), alike)


def test_the_year_tells_two_named_films_of_one_title_apart(catalogue: Catalogue) -> None:
    cocteau = top(catalogue, 10, liked=["Beauty and the Beast (1946)"])
    disney = top(catalogue, 10, liked=["Beauty and the Beast (1991)"])

    def animated(film: ShippedFilm) -> bool:
        return "animation" in film.genres

    assert share(disney, animated) > share(cocteau, animated)
    assert top(catalogue, 10, liked=["Beauty and the Beast"]) == disney


@pytest.mark.parametrize(
    "words", ["something like Amélie", "같은 느낌? Amélie 같은 영화", "we loved Amélie last week"]
)
def test_a_film_named_in_words_is_meant_and_not_named_back(
    catalogue: Catalogue, words: str
) -> None:
    found = top(catalogue, 10, words=words)
    assert "Amélie" not in {film.title for film in found}
    likened = {film.title for film in top(catalogue, 10, liked=["Amélie"])}
    assert len(likened & {film.title for film in found}) >= 5


def test_unknown_named_films_change_nothing(catalogue: Catalogue) -> None:
    assert top(catalogue, mood="sad", liked=["No Such Film Anywhere"]) == top(catalogue, mood="sad")


def test_lift_is_warmer_and_lighter_than_stay(catalogue: Catalogue) -> None:
    for mood in ("sad", "fear", "disgust", "angry"):
        lifted, stayed = (top(catalogue, 20, mood=mood, intent=way) for way in ("lift", "stay"))
        assert sum(film.warmth for film in lifted) > sum(film.warmth for film in stayed), mood
        assert sum(film.darkness for film in lifted) < sum(film.darkness for film in stayed), mood


@pytest.mark.parametrize("mood", vocabulary.MOODS)
@pytest.mark.parametrize("intent", ["auto", "lift", "stay"])
def test_no_ten_films_are_of_one_kind(catalogue: Catalogue, mood: str, intent: str) -> None:
    for seed in range(5):
        found = top(catalogue, 10, mood=mood, intent=intent, seed=seed)
        assert len(found) == 10
        for most, names in (
            (1, Counter(film.series for film in found if film.series)),
            (2, Counter(film.directors[0] for film in found)),
            (4, Counter(film.year // 10 for film in found)),
        ):
            assert max(names.values(), default=0) <= most, names


@pytest.mark.parametrize(
    ("words", "is_of_kind"),
    [
        ("Hitchcock", lambda film: "Alfred Hitchcock" in film.directors),
        ("히치콕 영화", lambda film: "Alfred Hitchcock" in film.directors),
        ("a film by Hayao Miyazaki", lambda film: "Hayao Miyazaki" in film.directors),
        ("something from the 80s", lambda film: 1980 <= film.year < 1990),
        ("90년대 영화", lambda film: 1990 <= film.year < 2000),
        ("James Bond", lambda film: film.series == "james-bond"),
        ("a Korean thriller", lambda film: "KR" in film.countries),
        ("한국 영화", lambda film: "KR" in film.countries),
    ],
)
def test_who_asks_for_one_kind_gets_it(
    catalogue: Catalogue, words: str, is_of_kind: Callable[[ShippedFilm], bool]
) -> None:
    assert share(top(catalogue, 3, words=words), is_of_kind) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_limit_is_hard(catalogue: Catalogue, family: str) -> None:
    fits = FAMILIES[: FAMILIES.index(family) + 1]
    found = top(catalogue, 100, mood="surprise", words="scary horror", family=family)
    assert {film.family for film in found} <= set(fits)
    assert family in {film.family for film in found}


@pytest.mark.parametrize(
    ("evening", "most"),
    [
        ({"max_minutes": 80}, 80),
        ({"words": "under 95 minutes please"}, 95),
        ({"words": "under two hours", "max_minutes": 100}, 100),
        ({"words": "90분 이내", "max_minutes": 100}, 90),
    ],
)
def test_a_limit_of_length_is_hard(
    catalogue: Catalogue, evening: dict[str, Any], most: int
) -> None:
    found = top(catalogue, 100, mood="sad", **evening)
    assert max(film.runtime for film in found) <= most
    assert len(found) >= 10


def test_with_limits_that_nothing_keeps_there_is_nothing(catalogue: Catalogue) -> None:
    assert top(catalogue, max_minutes=20) == []


def test_children_in_words_are_a_limit(catalogue: Catalogue) -> None:
    found = top(catalogue, 50, mood="happy", words="movie night with the kids")
    assert {film.family for film in found} <= {"all", "older-kids"}
    asleep = top(catalogue, 50, mood="happy", words="the kids are asleep")
    assert {film.family for film in asleep} > {"all", "older-kids"}


def test_one_evening_one_list_another_evening_another(catalogue: Catalogue) -> None:
    query = replace(EVENING, date="2025-05-13")
    lists = {
        tuple(pick.title for pick in catalogue.rank(replace(query, date=f"2025-05-{day}"), 10))
        for day in range(10, 30)
    }
    assert len(lists) >= 15
    assert catalogue.rank(query, 10) == catalogue.rank(replace(query, hour=20), 10)
    elsewhere = replace(query, context={**query.context, "city": "Busan"})
    assert catalogue.rank(elsewhere, 10) != catalogue.rank(query, 10)
    # What is best on one evening is good on all.
    best = Counter(title for titles in lists for title in titles)
    assert max(best.values()) >= len(lists) * 0.7


def test_a_seed_brings_the_same_films_on_any_evening(catalogue: Catalogue) -> None:
    first, second = (
        catalogue.rank(replace(EVENING, date=date, seed=seed), 10)
        for date, seed in (("2025-05-13", 7), ("2025-06-14", 7))
    )
    assert first == second
    assert first != catalogue.rank(replace(EVENING, date="2025-05-13", seed=8), 10)


def test_christmas_films_keep_for_christmas(catalogue: Catalogue) -> None:
    def share_on(date: str, **evening: str) -> float:
        found = top(catalogue, 10, mood="happy", weather_desc="snow", date=date, **evening)
        return share(found, lambda film: "christmas" in film.themes)

    assert share_on("2025-12-24") > 0.5
    assert share_on("2025-03-03") < 0.1
    assert share_on("2025-07-01", words="a Christmas film please") > 0.5


def test_an_empty_table_says_what_to_do() -> None:
    catalogue = Catalogue(list)
    with pytest.raises(RecommenderError, match="catalogue is empty; install the station again"):
        catalogue.rank(Query(), 10)


def test_eight_threads_load_the_films_once() -> None:
    loads: list[int] = []

    def load() -> Sequence[ShippedFilm]:
        loads.append(1)
        return shipped.films()

    catalogue = Catalogue(load)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: catalogue.rank(Query(), 10), range(16)))
    assert loads == [1]
    assert all(answer == answers[0] for answer in answers)
    assert len(catalogue) == len(shipped.films())
