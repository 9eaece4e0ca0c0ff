from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodflix.films.titles import MAX_TITLE
from moodflix.recommend.llm.reply import Reply, parse
from tests.fake_ollama import FILMS, answer

SURROGATE = chr(0xD800)
TITLES = [film["title"] for film in FILMS]
seeded = settings(derandomize=True, deadline=None, database=None)
JSON_BITS = st.sampled_from(
    ['{"films":[', '{"title":"A"', '"why":"b"}', "]}", '"\\', "\\u12", "{", "[", ",", "1" * 5000]
)
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
FILM_TITLE = WORD.map(lambda word: f"T{word}t")
FILM = st.fixed_dictionaries(
    {"title": FILM_TITLE}, optional={"year": st.integers(1880, 2100), "why": WORD}
)


def _titles(reply: Reply) -> list[str]:
    return [film.title for film in reply.films]


def _closed(text: str, films: list[dict[str, Any]], cut: int) -> int:
    """Count the films of `text` whose closing brace is before `cut`, by another way than ours."""
    end = text.index('"films"')
    count = 0
    for film in films:
        written = json.dumps(film)
        end = text.index(written, end) + len(written)
        count += end <= cut
    return count


@seeded
@given(st.text(st.characters(), max_size=400))
def test_it_never_raises_on_any_text(text: str) -> None:
    assert isinstance(parse(text), Reply)


@seeded
@given(st.lists(JSON_BITS | st.text(st.characters(), max_size=5), max_size=30).map("".join))
def test_it_never_raises_on_what_looks_like_json(text: str) -> None:
    for film in parse(text).films:
        assert 0 < len(film.title) <= MAX_TITLE


@pytest.mark.parametrize("cut", range(len(answer())))
def test_a_cut_answer_keeps_exactly_the_films_that_had_closed(cut: int) -> None:
    reply = parse(answer()[:cut])
    assert _titles(reply) == TITLES[: _closed(answer(), list(FILMS), cut)]
    assert not reply.whole


@seeded
@given(st.lists(FILM, min_size=1, max_size=6), st.data())
def test_any_answer_cut_anywhere_keeps_exactly_the_films_that_had_closed(
    films: list[dict[str, Any]], data: st.DataObject
) -> None:
    text = answer(films)
    cut = data.draw(st.integers(0, len(text) - 1))
    assert _titles(parse(text[:cut])) == _titles(parse(text))[: _closed(text, films, cut)]


def test_a_film_is_closed_by_its_brace_whatever_the_order_of_its_fields() -> None:
    reply = parse('{"films": [{"why": "w", "title": "A", "year": 1999}, {"why": "w", "title": "B"')
    assert _titles(reply) == ["A"]


def test_a_mood_read_before_the_cut_is_kept_with_the_films() -> None:
    text = answer()
    reply = parse(text[: text.index("Parasite")])
    assert (reply.mood, reply.tone) == ("sad", "subdued")


@pytest.mark.parametrize("around", ["{}", "Sure!\n```json\n{}\n```\nEnjoy {{both}}.", "\ufeff {}"])
def test_prose_around_the_object_is_forgiven(around: str) -> None:
    reply = parse(around.format(answer()))
    assert _titles(reply) == TITLES
    assert reply.whole


@pytest.mark.parametrize("garbage", ["]]]", "}}", ", ,", "\x00", "\\", '"' * 3, "9" * 5000])
def test_garbage_after_a_film_costs_only_what_follows(garbage: str) -> None:
    text = answer()
    place = text.index("}") + 1
    reply = parse(text[:place] + garbage + text[place:])
    assert _titles(reply) == TITLES[:1]
    assert not reply.whole


@pytest.mark.parametrize(
    "bad",
    [
        '{"title": "Bad", "year": %s, "why": ""}' % ("9" * 5000),
        '{"title": "Bad", "year": 1e400, "why": ""}',
        '{"title": "Bad", "year": NaN, "why": ""}',
        '{"title": "Bad", "year": 1700, "why": ""}',
        '{"title": "Bad\\ud800", "year": 1999, "why": ""}',
        f'{{"title": "Bad{SURROGATE}", "year": 1999, "why": ""}}',
        '{"title": "Bad", "year": 1999, "why": "\\udfff"}',
        '{"title": "Bad\\u0000", "year": 1999, "why": ""}',
        '{"title": " \\u201c\\u201d ", "year": 1999, "why": ""}',
        '{"title": "%s", "year": 1999, "why": ""}' % ("x" * (MAX_TITLE + 1)),
        '{"title": ["Bad"], "year": 1999, "why": ""}',
        '{"title": null, "year": 1999, "why": ""}',
        '{"year": 1999, "why": ""}',
        '"Bad"',
        "[" * 50 + "]" * 50,
        "null",
    ],
)
def test_a_film_that_cannot_be_used_costs_only_itself(bad: str) -> None:
    good = [json.dumps(film) for film in FILMS]
    reply = parse(f'{{"mood": "sad", "films": [{good[0]}, {bad}, {good[1]}]}}')
    assert _titles(reply) == TITLES[:2]
    assert reply.mood == "sad"
    assert not reply.whole


@pytest.mark.parametrize("nest", ["[", '{"a":', '{"films":[', "[{"])
def test_deep_nesting_is_survived(nest: str) -> None:
    assert parse(nest * 20_000).films == []
    before = answer()[: answer().index("Parasite")]
    assert _titles(parse(f'{before}", "deep": {nest * 20_000}')) == TITLES[:2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I can't help with that.",
        "{}",
        "[]",
        "null",
        '{"films": 3}',
        '{"films": {"title": "A"}}',
        answer([]),
        "{" * 30_000,
        '"' * 30_000,
        '{"' + "\\" * 30_000,
    ],
)
def test_text_without_a_film_is_a_reply_without_films(text: str) -> None:
    reply = parse(text)
    assert reply.films == []
    assert not reply.whole


@pytest.mark.parametrize("word", ['"melancholy"', "3", "null", "[]", '"\\ud800"', '"SAD"'])
def test_a_mood_outside_the_known_words_is_no_reading(word: str) -> None:
    film = json.dumps(FILMS[0])
    reply = parse(f'{{"mood": {word}, "tone": {word}, "films": [{film}]}}')
    assert (reply.mood, reply.tone) == (None, None)
    assert _titles(reply) == TITLES[:1]


def test_a_title_that_is_a_number_is_a_title() -> None:
    assert _titles(parse('{"films": [{"title": 1917, "year": 2019, "why": "w"}]}')) == ["1917"]
