from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import vocabulary
from moodflix.films import shipped
from moodflix.films.shipped import FAMILIES, FILM_TONES, GENRES, ShippedFilm
from moodflix.perception.wishes import understand
from moodflix.recommend.catalogue.reasons import Reasons
from moodflix.recommend.query import Query
from moodflix.requests import Language
from tests.sentences import LANGUAGES, LITERAL, ROWS, check

SHIPPED = shipped.films()
WEATHERS = ("light rain", "눈", "thunderstorm", "fog", "overcast", "Clear sky", "laoading", "")
SAID = (
    "",
    "something about rain",
    "food and rain please",
    "no rain, no trains",
    "바다",
    "a film about friendship, family or a city by the sea",
    "rain snow storm sun summer sea winter love",
    "under 100 minutes, the kids are with us",
    "cheer me up",
)


def film(**other: Any) -> ShippedFilm:
    plain: dict[str, Any] = {
        "title": "A Film",
        "original_title": "",
        "year": 2000,
        "countries": ("KR",),
        "languages": ("ko",),
        "genres": ("comedy",),
        "runtime": 100,
        "family": "teens",
        "directors": ("A Director",),
        "series": "",
        "renown": 3,
        "moods": {"sad": 1.0},
        "tone": "wry",
        "pace": 3,
        "warmth": 3,
        "darkness": 3,
        "themes": ("food", "rain", "city"),
    }
    return ShippedFilm(**(plain | other))


def why(
    query: Query = Query(),  # noqa: B008 - frozen
    found: ShippedFilm | None = None,
    chosen: Mapping[str, int] | None = None,
    llm: str | None = None,
    language: Language = "en",
) -> str:
    sources = ("llm",) if llm is not None else ("catalogue",)
    return Reasons(query, language).why(sources, found, chosen or {}, llm or "")


@given(
    st.sampled_from(SHIPPED),
    st.sampled_from([*vocabulary.MOODS, "", "heartbroken", "flibbertigibbet"]),
    st.sampled_from(WEATHERS),
    st.sampled_from(SAID),
    st.sampled_from(["", "Friday", "수요일"]),
    st.sampled_from([None, 90, 130]),
    st.sampled_from([None, *FAMILIES]),
    st.sampled_from(["auto", "lift", "stay"]),
    st.lists(st.sampled_from(["sad", "happy", "rain", "clear", "friday", "wednesday", ""])),
    st.booleans(),
)
def test_every_claim_holds(
    found: ShippedFilm,
    mood: str,
    weather: str,
    words: str,
    weekday: str,
    minutes: int | None,
    family: Any,
    intent: Any,
    choices: list[str],
    llm: bool,  # noqa: FBT001 - Hypothesis gives it
) -> None:
    context = {"mood": mood, "weather_desc": weather, "weekday": weekday}
    query = Query(context, 20, understand(words), max_minutes=minutes, family=family, intent=intent)
    chosen = Counter(choice for choice in choices if choice) + Counter({"": len(choices)})
    sources = ("catalogue", *["llm"] * llm)
    sentences = {
        language: Reasons(query, language).why(sources, found, chosen, "") for language in LANGUAGES
    }
    kinds = [check(text, language, query, found, chosen) for language, text in sentences.items()]
    # Both languages make the same claims.
    assert sorted(kinds[0]) == sorted(kinds[1])
    assert ("count" in kinds[0]) == bool(choices)
    assert ("llm" in kinds[0]) == llm


RAINY = {"mood": "sad", "weather_desc": "rain", "weekday": "Friday"}


@pytest.mark.parametrize(
    ("query", "english", "korean"),
    [
        (Query(), "A wry comedy about food and rain.", "음식과 비를 다룬 능청스러운 코미디입니다."),
        (
            Query({"mood": "sad"}),
            "A wry comedy that suits a sad mood well.",
            "슬픈 기분에 잘 어울리는 능청스러운 코미디입니다.",
        ),
        (
            Query({"mood": "sad", "weather_desc": "drizzle"}, words=understand("food!")),
            (
                "A wry comedy that suits a sad mood well and has rain in it, like today; "
                "about food, which you mentioned."
            ),
            (
                "말씀하신 음식을 다룬, 슬픈 기분에 잘 어울리는, 오늘처럼 비가 나오는 "
                "능청스러운 코미디입니다."
            ),
        ),
        (
            Query({"weather_desc": "storm"}, max_minutes=120, family="adults"),
            (
                "A wry comedy that has rain in it, for a stormy day; "
                "100 minutes, within your 120; for teens and up."
            ),
            (
                "폭풍우 치는 날에 맞게 비가 나오는, 120분을 넘지 않는 100분짜리, "
                "청소년부터 볼 수 있는 능청스러운 코미디입니다."
            ),
        ),
        (
            Query(words=understand("no food")),
            "A wry comedy about food and rain.",
            "음식과 비를 다룬 능청스러운 코미디입니다.",
        ),
    ],
)
def test_it_is_one_natural_sentence(query: Query, english: str, korean: str) -> None:
    assert why(query, film()) == english
    assert why(query, film(), language="ko") == korean


@pytest.mark.parametrize(
    ("chosen", "english", "korean"),
    [
        ({"": 1}, "Chosen once at this station.", "이곳에서 한 번 선택된 영화입니다."),
        ({"": 9, "rain": 2}, "Chosen 9 times at this station.", "이곳에서 9번 선택된 영화입니다."),
        (
            {"": 9, "rain": 4, "sad": 3},
            "Chosen 4 times on rainy evenings.",
            "비 오는 저녁에 4번 선택된 영화입니다.",
        ),
        (
            {"": 2, "sad": 2, "rain": 2, "friday": 2},
            "Chosen twice in a sad mood.",
            "슬픈 기분일 때 두 번 선택된 영화입니다.",
        ),
        (
            {"": 3, "friday": 2, "rain": 1},
            "Chosen twice on Fridays.",
            "금요일에 두 번 선택된 영화입니다.",
        ),
        (
            {"": 1, "friday": 1},
            "Chosen once on a Friday.",
            "금요일에 한 번 선택된 영화입니다.",
        ),
        (
            {"": 1, "rain": 1},
            "Chosen once on a rainy evening.",
            "비 오는 저녁에 한 번 선택된 영화입니다.",
        ),
        ({"": 5, "happy": 5}, "Chosen 5 times at this station.", "이곳에서 5번 선택된 영화입니다."),
    ],
)
def test_it_counts_choices_by_what_this_evening_shares_with_them(
    chosen: dict[str, int], english: str, korean: str
) -> None:
    assert why(Query(RAINY), None, chosen) == english
    assert why(Query(RAINY), None, chosen, language="ko") == korean


def test_the_llm_is_quoted_as_itself() -> None:
    assert why(llm="Noodles. And love.") == "The LLM says: “Noodles. And love.”"
    sentence = why(found=film(), chosen={"": 2}, llm="“Yes!”")
    assert sentence == (
        "A wry comedy about food and rain; chosen twice at this station; the LLM says: “Yes!”"
    )
    assert why(llm="Good.", language="ko") == "LLM은 이렇게 말합니다: “Good.”"
    sentence = why(found=film(), llm="Good.", language="ko")
    assert sentence == "음식과 비를 다룬 능청스러운 코미디이며, LLM은 이렇게 말합니다: “Good.”"


def test_what_the_llm_says_is_no_template() -> None:
    assert why(llm="{sentence} {0} %s") == "The LLM says: “{sentence} {0} %s”"


@pytest.mark.parametrize("nothing", ["", "   ", '""', "“”"])
def test_an_llm_without_a_reason_is_only_named(nothing: str) -> None:
    assert why(llm=nothing) == "Named by the LLM."
    assert why(llm=nothing, language="ko") == "LLM이 고른 영화입니다."


def test_a_long_quote_is_cut_and_says_so() -> None:
    sentence = why(llm="so " * 500)
    assert sentence.startswith("The LLM says: “so so so")
    assert sentence.endswith("…”")
    assert len(sentence) < 230


def test_a_film_nobody_speaks_for_is_still_a_sentence() -> None:
    assert why() == "Known at this station."
    assert why(language="ko") == "이곳에서 아는 영화입니다."


def test_a_mood_nobody_knows_is_not_taken_for_calm() -> None:
    calm = film(moods={"neutral": 1.0})
    assert "mood" not in why(Query({"mood": "flibbertigibbet"}), calm)
    assert "a calm mood" in why(Query({"mood": "neutral"}), calm)


def test_a_warm_film_is_not_said_to_have_a_warm_heart() -> None:
    evening_out = Query({"mood": "happy"}, intent="stay")
    assert "a warm heart" in why(evening_out, film(warmth=5))
    assert "a warm heart" not in why(evening_out, film(warmth=5, tone="warm"))


@pytest.mark.parametrize("weather", WEATHERS)
def test_no_theme_is_said_twice(weather: str) -> None:
    for found in SHIPPED[::7]:
        query = Query({"weather_desc": weather}, words=understand(" ".join(found.themes)))
        sentence = why(query, found)
        for theme in found.themes:
            assert len(re.findall(rf"(?<![\w-]){theme}(?![\w-])", sentence)) <= 1, sentence


def test_what_may_be_said_has_words_in_both_languages() -> None:
    names = {(row["kind"], row["name"]) for row in ROWS}
    assert len(names) == len(ROWS)
    assert {name for kind, name in names if kind == "tone"} == FILM_TONES
    assert {name for kind, name in names if kind == "genre"} == GENRES
    assert {name for kind, name in names if kind == "mood"} == set(vocabulary.MOODS)
    assert {name for kind, name in names if kind == "weekday"} == set(vocabulary.WEEKDAYS)
    themes = {name for kind, name in names if kind == "theme"}
    assert themes >= set().union(*LITERAL.values())
    assert themes >= {theme for each in SHIPPED for theme in each.themes}
    blank = [(row["name"], language) for row in ROWS for language in LANGUAGES if not row[language]]
    assert blank == [("film", "en")]
    # Particles go by the last syllable.
    assert all("가" <= row["ko"][-1] <= "힣" for row in ROWS if row["kind"] == "theme")
    for kind, language in itertools.product(("mood", "weather", "weekday", "tone"), LANGUAGES):
        words = [row[language] for row in ROWS if row["kind"] == kind]
        assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("theme", "words"),
    [
        ("rain", "말씀하신 비를 다룬"),
        ("food", "말씀하신 음식을 다룬"),
        ("trains", "말씀하신 기차를 다룬"),
        ("winter", "말씀하신 겨울을 다룬"),
    ],
)
def test_korean_particles_follow_the_final_consonant(theme: str, words: str) -> None:
    found = film(themes=(theme, "city", "love"))
    assert words in why(Query(words=understand(theme)), found, language="ko")
