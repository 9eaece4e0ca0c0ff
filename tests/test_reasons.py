from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from moodflix import evening, films, moods
from moodflix.models import Film
from moodflix.recommend import policy
from moodflix.recommend.ranking import Query
from moodflix.recommend.reasons import why
from tests.fake_ollama import FakeOllama, answer, says

SHIPPED = films.shipped()
MOOD_WORDS = {
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "anxious": "fear",
    "fed-up": "disgust",
    "curious": "surprise",
    "calm": "neutral",
}
WEATHER_WORDS = {"rainy": "rain", "snowy": "snow", "stormy": "storm", "clear": "clear"}
LITERAL = {
    "rain": {"rain", "storm"},
    "snow": {"snow", "winter"},
    "storm": {"storm", "rain"},
    "fog": {"mist"},
    "clear": {"sun", "summer", "sea"},
}
# The whole grammar of what the catalogue says; a sentence it can't read fails the test.
SAID = re.compile(
    r"^(?P<article>An?) (?P<tone>\w+) (?P<kind>[\w-]+(?: film)?)"
    r"(?: that (?:suits an? (?P<mood>[\w-]+) mood)?(?: and )?"
    r"(?:has (?:the |a )?(?P<theme>[\w-]+) in it, (?:(?P<like>like today)|for a (?P<day>\w+) day)"
    r"(?P<too>, and you mentioned it)?)?)?"
    r"(?:;? about (?P<about>[\w-]+), which you mentioned)?"
    r"(?:; themes: (?P<themes>[\w, -]+))?"
    r"(?:; chosen (?P<times>once|twice|\d+ times) at this station)?\.$"
)
WEATHERS = ("light rain", "\ub208", "thunderstorm", "fog", "overcast", "Clear sky", "laoading", "")
WORDS = (
    "",
    "something about rain",
    "food and rain please",
    "no rain, no trains",
    "\ubc14\ub2e4",
    "a film about friendship, family or a city by the sea",
    "rain snow storm sun summer sea winter love",
)


def film(**other: Any) -> Film:
    plain = {
        "title": "A Film",
        "year": 2000,
        "countries": ["KR"],
        "genres": ["comedy"],
        "moods": ["sad"],
        "tone": "warm",
        "themes": ["food", "rain", "city"],
    }
    return Film(**(plain | other))


def said(found: Film, *, chosen: int = 0, words: str = "", **context: str) -> str:
    sources = ("catalogue", "context") if chosen else ("catalogue",)
    return why(sources, found, Query(context=context, words=words), chosen, "")


@given(
    st.sampled_from(SHIPPED),
    st.sampled_from([*moods.MOODS, "", "heartbroken", "flibbertigibbet"]),
    st.sampled_from(WEATHERS),
    st.sampled_from(WORDS),
    st.integers(0, 5),
)
def test_every_claim_holds(found: Film, mood: str, weather: str, words: str, chosen: int) -> None:
    sentence = said(found, chosen=chosen, words=words, mood=mood, weather_desc=weather)
    claims = SAID.match(sentence)
    assert claims, sentence
    assert claims["tone"] == found.tone
    assert (claims["article"] == "An") == (found.tone[0] in "aeiou")
    genre = found.genres[0]
    assert claims["kind"].removesuffix(" film") in (
        genre,
        {"animation": "animated", "history": "historical", "sport": "sports"}.get(genre),
    )
    if claims["themes"]:
        assert set(claims["themes"].split(", ")) <= set(found.themes)
        assert [claims[name] for name in ("mood", "theme", "about")] == [None] * 3
    spoken = "" if mood == "" else moods.mood(mood) or "neutral"
    assert MOOD_WORDS.get(claims["mood"] or "", "") == (spoken if spoken in found.moods else "")
    now = evening.weather(weather) or ""
    literal = LITERAL.get(now, set()) & set(found.themes)
    assert (claims["theme"] in literal) if literal else claims["theme"] is None
    if claims["like"]:
        assert claims["theme"] == {"fog": "mist"}.get(now, now)
    if claims["day"]:
        assert WEATHER_WORDS[claims["day"]] == now
    named = {theme for theme in found.themes if policy.words(words).get(f"theme:{theme}", 0) > 0}
    assert (claims["too"] is not None) == (claims["theme"] in named)
    # "A warm war film about war" would say it twice.
    about = named - {claims["theme"], genre}
    assert (claims["about"] in about) if about else claims["about"] is None
    assert {None: 0, "once": 1, "twice": 2}.get(
        claims["times"], int((claims["times"] or "0").split()[0]) if chosen > 2 else -1
    ) == chosen


@pytest.mark.parametrize(
    ("words", "context", "sentence"),
    [
        ("", {}, "A warm comedy; themes: food, rain."),
        ("", {"mood": "sad"}, "A warm comedy that suits a sad mood."),
        ("", {"mood": "happy"}, "A warm comedy; themes: food, rain."),
        ("", {"weather_desc": "drizzle"}, "A warm comedy that has rain in it, like today."),
        ("", {"weather_desc": "storm"}, "A warm comedy that has rain in it, for a stormy day."),
        ("", {"weather_desc": "clear"}, "A warm comedy; themes: food, rain."),
        ("food!", {}, "A warm comedy about food, which you mentioned."),
        ("no food", {}, "A warm comedy; themes: food, rain."),
        (
            "food",
            {"mood": "sad", "weather_desc": "rain"},
            (
                "A warm comedy that suits a sad mood and has rain in it, like today; "
                "about food, which you mentioned."
            ),
        ),
        (
            "rain",
            {"weather_desc": "rain"},
            "A warm comedy that has rain in it, like today, and you mentioned it.",
        ),
    ],
)
def test_it_is_one_natural_sentence(words: str, context: dict[str, str], sentence: str) -> None:
    assert why(("catalogue",), film(), Query(context, words=words), 0, "") == sentence


@pytest.mark.parametrize("weather", WEATHERS)
def test_no_theme_is_said_twice_and_none_that_is_not_the_weather(weather: str) -> None:
    for found in SHIPPED:
        sentence = said(found, words=" ".join(found.themes), weather_desc=weather)
        for theme in found.themes:
            assert len(re.findall(rf"(?<![\w-]){theme}(?![\w-])", sentence)) <= 1, sentence
        assert "city in it" not in sentence


@pytest.mark.parametrize(
    ("chosen", "times"), [(1, "once"), (2, "twice"), (3, "3 times"), (30, "30 times")]
)
def test_it_counts_the_choices_at_this_station(chosen: int, times: str) -> None:
    assert why(("context",), None, Query(), chosen, "") == f"Chosen {times} at this station."


def test_the_llm_is_quoted_as_itself() -> None:
    sentence = why(("llm",), film(), Query(), 0, "Noodles. And love.")
    assert sentence == "The LLM says: \u201cNoodles. And love.\u201d"
    # What the catalogue did not name it says nothing about.
    assert why(("llm", "context"), film(), Query(), 2, "\u201cYes!\u201d") == (
        "Chosen twice at this station; the LLM says: \u201cYes!\u201d"
    )


@pytest.mark.parametrize("nothing", ["", "   ", '""', "\u201c\u201d"])
def test_an_llm_without_a_reason_is_only_named(nothing: str) -> None:
    assert why(("llm",), None, Query(), 0, nothing) == "Named by the LLM."


def test_a_long_quote_is_cut_and_says_so() -> None:
    sentence = why(("llm",), None, Query(), 0, "so " * 500)
    assert sentence.startswith("The LLM says: \u201cso so so")
    assert sentence.endswith("\u2026\u201d")
    assert len(sentence) < 230


def test_a_film_nobody_speaks_for_is_still_a_sentence() -> None:
    assert why(("context",), None, Query(), 0, "") == "Known at this station."


def test_each_pick_of_an_answer_says_what_its_recommenders_say(
    make_app: Callable[..., Flask], ollama: FakeOllama
) -> None:
    ollama.then(says(answer([{"title": "Tampopo", "year": 1985, "why": "Noodles in the rain."}])))
    got = (
        make_app(llm="auto")
        .test_client()
        .post(
            "/inference", json={"mood": "happy", "env": {"weather_desc": "light rain"}, "limit": 20}
        )
    )
    picks = got.get_json()["picks"]
    by_title = {(each.title, each.year): each for each in SHIPPED}
    assert {"llm", "catalogue"} == {source for pick in picks for source in pick["sources"]}
    for pick in picks:
        ours, _, quoted = pick["why"].partition("the LLM says: \u201c")
        assert bool(quoted or "The LLM" in ours) == ("llm" in pick["sources"])
        if "catalogue" in pick["sources"]:
            claims = SAID.match(ours.removesuffix("; ").removesuffix(".") + ".")
            assert claims, ours
            found = by_title[pick["title"], pick["year"]]
            assert (claims["mood"] == "happy") == ("happy" in found.moods)
            assert (claims["like"] == "like today") == ("rain" in found.themes)
    [tampopo] = [pick for pick in picks if pick["title"] == "Tampopo"]
    assert tampopo["why"].lower().endswith("the llm says: \u201cnoodles in the rain.\u201d")
