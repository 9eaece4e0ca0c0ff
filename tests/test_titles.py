from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moodflix.films import titles
from moodflix.films.titles import MAX_TITLE

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_TITLE)
WORD = st.text("abcdefghijklmnopqrstuvwxyzéöñç", min_size=2, max_size=8)
# Titles as people write them, none of which starts with an article.
PLAIN = st.lists(WORD.map(lambda word: "x" + word), min_size=1, max_size=5).map(" ".join)


@given(ANY)
@example("The A Team")
@example("か'゙")
@example("\uff02!\uff02")
@example("a" * 299 + " b")
@example("'")
def test_it_keeps_a_key_as_it_is(text: str) -> None:
    assert titles.key(titles.key(text)) == titles.key(text)


@given(ANY)
@example('""')
@example("\u0301")
@example("\u00b4")
@example('"" (1999)')
@example("The")
def test_only_a_blank_title_has_an_empty_key(text: str) -> None:
    assert bool(titles.key(text)) == bool(text.strip())


@given(ANY)
@example("\ufdfa" * MAX_TITLE)
def test_a_key_fits_its_column(text: str) -> None:
    assert len(titles.key(text)) <= titles.MAX_KEY


@given(PLAIN)
def test_case_is_no_other_film(title: str) -> None:
    assert titles.key(title.upper()) == titles.key(title.title()) == titles.key(title)


@given(PLAIN)
def test_accents_are_no_other_film(title: str) -> None:
    decomposed = unicodedata.normalize("NFD", title)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    assert titles.key(decomposed) == titles.key(bare) == titles.key(title)


@given(PLAIN, st.sampled_from(['"{}"', "'{}'", "“{}”", "«{}»", "「{}」", '"""{}"""', " {} "]))
def test_quotes_are_no_other_film(title: str, quoted: str) -> None:
    assert titles.key(quoted.format(title)) == titles.key(title)


@given(PLAIN, st.integers(1880, 2099), st.sampled_from(["{} ({})", '"{}" ({})', "{}( {} )"]))
def test_a_year_in_brackets_is_no_other_film(title: str, year: int, form: str) -> None:
    assert titles.key(form.format(title, year)) == titles.key(title)
    assert titles.split_year(form.format(title, year)) == (title, year)


@given(PLAIN, st.sampled_from(["The {}", "the  {}", "A {}", "An {}", "{}, The", "{}, a"]))
def test_an_article_is_no_other_film(title: str, form: str) -> None:
    assert titles.key(form.format(title)) == titles.key(title)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"""Mother"""', "MOTHER"),
        ("Amélie", "amelie"),
        ("Don't Look Up", "Don\u2019t Look Up"),
        ("Don\u00b4t Look Up", "Dont Look Up"),
        ("Thelma & Louise", "Thelma and Louise"),
        ("Spider-Man: No Way Home", "Spider Man No Way Home"),
        ("La dolce vita", "dolce vita, La"),
        ("I \u2764\ufe0f Huckabees", "I \u2764 Huckabees"),
        ("\uff2d\uff41\uff54\uff52\uff49\uff58", "The Matrix (1999)"),
        ("마더", unicodedata.normalize("NFD", "마더")),
    ],
)
def test_these_are_one_film(one: str, other: str) -> None:
    assert titles.key(one) == titles.key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alien", "Aliens"),
        ("1917", "2012"),
        ("2001", "2001: A Space Odyssey"),
        ("Mother", "The Mother and the Whore"),
        # The vowel signs of Hindi and the voicing marks of kana make other letters.
        ("दिल", "दाल"),
        ("か", "が"),
        ("!!!", "???"),
        ("A", "The"),
    ],
)
def test_these_are_two_films(one: str, other: str) -> None:
    assert titles.key(one) != titles.key(other)


@pytest.mark.parametrize(
    ("text", "shown", "year"),
    [
        (" The   Matrix (1999) ", "The Matrix", 1999),
        ("1917", "1917", None),
        ("(1999)", "(1999)", None),
        ("Blade Runner 2049", "Blade Runner 2049", None),
        ("Blade Runner (3049)", "Blade Runner (3049)", None),
    ],
)
def test_it_splits_only_a_year_in_brackets(text: str, shown: str, year: int | None) -> None:
    assert titles.split_year(text) == (shown, year)
