from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import data
from moodflix.films import shipped
from moodflix.perception import wishes
from moodflix.perception.wishes import Wishes
from moodflix.perception.words import split
from moodflix.recommend.catalogue.traits import NUMERIC_TRAITS, POLICY, film_traits
from moodflix.vocabulary import Intent


def read(text: str) -> Wishes:
    return wishes.read(split(text))


@pytest.mark.parametrize(
    ("text", "trait"),
    [
        ("something FUNNY", "genre:comedy"),
        ("good comedies", "genre:comedy"),
        ("I want to laugh", "genre:comedy"),
        ("코미디 보고 싶어", "genre:comedy"),
        ("웃긴 거", "genre:comedy"),
        ("a black comedy", "tone:dark"),
        ("science fiction", "genre:sci-fi"),
        ("a sci-fi film", "genre:sci-fi"),
        ("road trip!", "theme:road-trip"),
        ("about trains", "theme:trains"),
        ("기차 여행", "theme:trains"),
        ("바다가 보이는", "theme:sea"),
        ("산에 가고 싶다", "theme:mountains"),
        ("a Korean film", "country:KR"),
        ("영국 영화", "country:GB"),
        ("Ghibli", "director:hayao-miyazaki"),
        ("Hayao Miyazaki", "director:hayao-miyazaki"),
        ("by Fellini", "director:federico-fellini"),
        ("봉준호 감독", "director:bong-joon-ho"),
        ("Bong Joon-ho", "director:bong-joon-ho"),
        ("from the 80s", "decade:1980"),
        ("from the 1980's", "decade:1980"),
        ("the eighties", "decade:1980"),
        ("90년대", "decade:1990"),
        ("early 2000s", "decade:2000"),
        ("not sad, but funny", "genre:comedy"),
        ("just a musical", "genre:musical"),
        ("a western I haven't seen", "genre:western"),
        ("I've never seen a western", "genre:western"),
        ("I can't wait for some horror", "genre:horror"),
        ("nothing scary, but something sad or funny", "genre:comedy"),
        ("nothing scary :) a comedy", "genre:comedy"),
        ("생각 없이 볼 거", "genre:comedy"),
        ("I can't calm down", "tone:warm"),
    ],
)
def test_it_reads_a_wish(text: str, trait: str) -> None:
    assert read(text).asks_for(trait)


@pytest.mark.parametrize(
    ("text", "trait"),
    [
        ("nothing scary", "genre:horror"),
        ("nothing too scary please", "genre:horror"),
        ("I don't want anything scary", "genre:horror"),
        ("nothing violent, sad or scary", "genre:horror"),
        ("without any war", "genre:war"),
        ("anything but not horror", "genre:horror"),
        ("무섭지 않은 영화", "genre:horror"),
        ("공포 말고", "genre:horror"),
        ("무서운 건 싫어", "genre:horror"),
        ("안 무서운 영화", "genre:horror"),
        ("no superheroes", "series:marvel-cinematic-universe"),
        ("nothing sad", "darkness"),
        ("anything but romance", "genre:romance"),
        ("everything but comedies", "genre:comedy"),
        ("other than horror", "genre:horror"),
        ("my girlfriend hates horror", "genre:horror"),
        ("I can't stand musicals", "genre:musical"),
        ("공포는 빼줘", "genre:horror"),
        ("공포만 아니면 돼", "genre:horror"),
        ("한국 영화는 빼줘", "country:KR"),
        ("블랙 코미디 영화는 싫어", "genre:comedy"),
        ("not hungry", "theme:food"),
    ],
)
def test_it_reads_what_is_unwanted(text: str, trait: str) -> None:
    found = read(text)
    assert found.unwanted[trait] < 0
    assert not found.asks_for(trait)


@pytest.mark.parametrize(
    "text",
    [
        "산책하고 왔어",
        "I'm sad",
        "tonight at home",
        "work was long",
        "돈까스",
        "달달한 하루",
        "hello",
        "",
    ],
)
def test_words_said_by_the_way_wish_for_no_theme(text: str) -> None:
    assert not read(text).themes()


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("under 90 minutes", {"max_minutes": 90}),
        ("a 90-minute film", {"max_minutes": 90}),
        ("less than two hours", {"max_minutes": 120}),
        ("an hour and a half at most", {"max_minutes": 90}),
        ("1시간 반 안에", {"max_minutes": 90}),
        ("100분 이내", {"max_minutes": 100}),
        ("two hours or 100 minutes", {"max_minutes": 100}),
        ("at most 1 hour 45 minutes", {"max_minutes": 105}),
        ("an hour and 20 minutes", {"max_minutes": 80}),
        ("1h30 or less", {"max_minutes": 90}),
        ("1h 30min", {"max_minutes": 90}),
        ("2시간 10분 이내", {"max_minutes": 130}),
        ("under 1.5 hours", {"max_minutes": 90}),
        ("2,5 hours", {"max_minutes": 150}),
        ("1.5시간", {"max_minutes": 90}),
        ("2h 30 movies", {"max_minutes": 120}),
        ("an hour and 90 minutes", {"max_minutes": 60}),
        ("over 1 hour 30 minutes", {}),
        ("after a 12 hour shift", {}),
        ("over 2 hours", {}),
        ("in 5 minutes", {}),
        ("with the kids", {"family": "older-kids"}),
        ("아이들과 함께", {"family": "older-kids"}),
        ("with a toddler and teenagers", {"family": "all"}),
        ("the kids are asleep", {}),
        ("not for kids", {}),
        ("cheer me up", {"intent": "lift"}),
        ("a good cry", {"intent": "stay"}),
        ("펑펑 울고 싶어", {"intent": "stay"}),
    ],
)
def test_it_reads_limits_and_a_direction(text: str, limits: dict[str, object]) -> None:
    found = read(text)
    expected = {"intent": "auto", "max_minutes": None, "family": None} | limits
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "liked"),
    [
        ("something like Amélie", ["Amélie"]),
        ("like amelie", []),
        ("similar to Parasite but funnier", ["Parasite"]),
        ("like Amélie or Before Sunrise", ["Amélie", "Before Sunrise"]),
        ("we loved Spirited Away.", ["Spirited Away"]),
        ("in the mood for love", []),
        ("기생충 같은 영화", ["기생충"]),
        ("어제 본 올드보이처럼 센 거", ["올드보이"]),
        ("Up late again", []),
        ("I like it", []),
    ],
)
def test_it_reads_films_that_are_named(text: str, liked: list[str]) -> None:
    assert list(read(text).titles) == liked


def test_a_theme_that_was_only_hinted_at_is_not_named() -> None:
    assert read("my boss is unfair, I need a film about trains").themes() == {"trains"}
    assert read("no trains").themes() == set()


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found = read(text)
    assert found.intent in get_args(Intent)
    assert all(weight <= 0 or trait in NUMERIC_TRAITS for trait, weight in found.unwanted.items())


@given(
    st.lists(st.sampled_from(sorted(wishes.phrase_table())), max_size=8), st.sampled_from(" ,.!")
)
def test_known_words_in_any_order_are_read(phrases: list[str], between: str) -> None:
    found = read(between.join(phrases))
    assert found.family in (None, *shipped.FAMILIES)
    assert found.intent in get_args(Intent)


def test_the_tables_name_only_traits_that_films_carry() -> None:
    carried = {trait for film in shipped.films() for trait in film_traits(film)}
    for row in data.table(POLICY):
        assert row["direction"] == "auto" or row["trait"] in carried, row
        assert row["source"], row
    for words, phrase in wishes.phrase_table().items():
        assert phrase.traits.keys() <= carried, words
        assert phrase.family in (None, *shipped.FAMILIES), words
        assert phrase.intent in (None, *get_args(Intent)), words
