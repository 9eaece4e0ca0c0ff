from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import vocabulary
from moodflix.errors import CatalogueError
from moodflix.films import shipped, titles
from moodflix.recommend.query import Query

HEADER = ",".join(shipped.COLUMNS)
GOOD = (
    "Mother,마더,2009,KR,ko,crime;drama,129,adults,Bong Joon-ho,,4,surprise:1;angry:0.6,dark,3,2,4,"
    "mother;murder;small-town"
)
CONTINENTS = {
    "Africa": "BF CD CM DZ EG ET GH GN KE LS MA ML MR NE NG RW SD SN TD TN UG ZA ZM ZW",
    "Asia": "BD BT CN HK ID IL IN IR JP KH KR KZ LB LK MN MY NP PH PK PS SG TH TR TW VN",
    "Europe": "AT BE CH CS CZ DE DK ES FI FR GB GR HU IE IS IT NL NO PL PT RO RU SE SU UA YU",
    "North America": "CA CR CU DO GT HT JM MX PR US",
    "Oceania": "AU FJ NZ PG WS",
    "South America": "AR BO BR CL CO EC PE PY UY VE",
}


def read(*lines: str) -> list[shipped.ShippedFilm]:
    return list(shipped.read([HEADER, *lines], "test.csv"))


def test_a_line_is_read_column_by_column() -> None:
    [film] = read(GOOD)
    assert (film.title, film.original_title, film.year) == ("Mother", "마더", 2009)
    assert (film.genres, film.directors, film.series) == (("crime", "drama"), ("Bong Joon-ho",), "")
    assert film.moods == {"surprise": 1.0, "angry": 0.6}
    assert (film.runtime, film.renown, film.pace, film.warmth, film.darkness) == (129, 4, 3, 2, 4)
    assert film.names == {"mother": ("Mother", "en"), "마더": ("마더", "ko")}


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        (",2009,", ",MMIX,", "year"),
        (",2009,", ",1009,", "year"),
        ("Mother,", '"""Mother""",', "title"),
        ("Mother,", "Mother (2009),", "title"),
        ("Mother,", ",", "title"),
        (",KR,", ",Korea,", "countries"),
        (",ko,", ",Korean,", "languages"),
        ("crime;drama", "crime;splatter", "genres"),
        ("crime;drama", "crime;crime", "genres"),
        (",129,", ",2 h,", "runtime"),
        ("adults", "R", "family"),
        ("Bong Joon-ho", "", "directors"),
        ("-ho,,4", "-ho,Mother Films,4", "series"),
        ("-ho,,4", "-ho,,6", "renown"),
        ("surprise:1;angry:0.6", "surprise", "moods"),
        ("surprise:1", "surprised:1", "moods"),
        ("surprise:1", "surprise:2", "moods"),
        ("dark,3", "murky,3", "tone"),
        ("mother;murder;small-town", "mother;murder", "themes"),
        ("small-town", "Small Town", "themes"),
    ],
)
def test_a_bad_field_is_named_in_one_line(good: str, bad: str, field: str) -> None:
    assert good in GOOD
    with pytest.raises(CatalogueError) as raised:
        read(GOOD, GOOD.replace(good, bad, 1))
    problem = str(raised.value)
    assert problem.startswith(f"test.csv:3: {field}: ")
    assert "\n" not in problem


@pytest.mark.parametrize("line", ["", "A film", f"{GOOD},more", "a,b"])
def test_a_line_of_another_width_is_named(line: str) -> None:
    with pytest.raises(CatalogueError, match=r"^test\.csv:2: \d+ fields instead of 17$"):
        read(line)


def test_another_header_is_refused() -> None:
    with pytest.raises(CatalogueError, match=r"^test\.csv:1: the header must be title,"):
        list(shipped.read(["title,year", "Mother,2009"], "test.csv"))
    with pytest.raises(CatalogueError, match="header"):
        list(shipped.read([], "test.csv"))


@given(st.lists(st.text(max_size=30), max_size=20))
def test_any_line_is_a_film_or_named(fields: list[str]) -> None:
    line = ",".join(f'"{field}"' for field in fields)
    with pytest.raises(CatalogueError, match=r"^test\.csv:\d+: "):
        read(line.replace("\n", " "))


def test_every_film_that_ships_is_well_formed_and_ships_once() -> None:
    seen: dict[tuple[str, int], str] = {}
    for film in shipped.films():
        assert list(film.moods.values()) == sorted(film.moods.values(), reverse=True), film
        assert film.moods
        assert next(iter(film.moods.values())) == 1, film
        assert film.original_title != film.title, film
        for year in (film.year - 1, film.year, film.year + 1):
            assert (film.key, year) not in seen, film
        seen[film.key, film.year] = film.title
    assert len(seen) >= 1_200


def test_it_covers_times_and_places_and_people() -> None:
    films = shipped.films()
    decades = Counter(film.year // 10 * 10 for film in films)
    assert all(decades[decade] >= 20 for decade in range(1930, 2030, 10)), decades
    assert sum(film.countries[0] == "KR" for film in films) >= 120
    for continent, codes in CONTINENTS.items():
        assert sum(film.countries[0] in codes.split() for film in films) >= 10, continent
    assert sum("US" not in film.countries for film in films) >= len(films) / 3
    for mood in vocabulary.MOODS:
        assert sum(mood in film.moods for film in films) >= len(films) / 6, mood
    assert {film.family for film in films} == set(shipped.FAMILIES)
    assert {film.tone for film in films} == shipped.FILM_TONES
    assert {genre for film in films for genre in film.genres} == shipped.GENRES
    for name in ("renown", "pace", "warmth", "darkness"):
        assert {getattr(film, name) for film in films} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("title", "year", "found"),
    [
        ("parasite", None, 2019),
        ("기생충", None, 2019),
        ("PARASITE (2019)", None, 2019),
        ("Parasite", 2020, 2019),
        ("Parasite", 1982, None),
        ("Beauty and the Beast", 1946, 1946),
        ("Beauty and the Beast (1991)", None, 1991),
        ("No Such Film Anywhere", None, None),
        ("", None, None),
    ],
)
def test_a_film_is_found_by_its_names(title: str, year: int | None, found: int | None) -> None:
    film = shipped.find(title, year)
    assert (film and film.year) == found


@pytest.mark.parametrize("film", shipped.films()[::50], ids=lambda film: titles.key(film.title))
def test_each_is_found_again(film: shipped.ShippedFilm) -> None:
    assert shipped.find(film.title, film.year) == film


@pytest.mark.parametrize(
    ("limits", "admitted"),
    [
        ({}, True),
        ({"max_minutes": 129}, True),
        ({"max_minutes": 128}, False),
        ({"family": "adults"}, True),
        ({"family": "teens"}, False),
        ({"family": "adults", "max_minutes": 90}, False),
    ],
)
def test_limits_admit_what_is_known_to_keep_them(
    *, limits: dict[str, object], admitted: bool
) -> None:
    [film] = read(GOOD)
    query = Query(**limits)  # type: ignore[arg-type]
    assert query.admits(film) is admitted
    assert query.admits(None) is (not limits)
