from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

from moodflix.films import fuzzy, titles
from moodflix.films.film_lists import Listed
from moodflix.store import films
from moodflix.store.database import Database
from moodflix.store.models import Film, FilmName
from tests.conftest import MakeApp
from tests.fake_ollama import Behaviour, FakeOllama, answer, says
from tests.server import await_condition

# Distant in spelling and years, so that none is another's misspelling.
SEQUELS = (
    Listed("Toy Story", 1995),
    Listed("Toy Story 2", 1999),
    Listed("Toy Story 3", 2010),
    Listed("Rocky II", 1979),
    Listed("Rocky III", 1982),
    Listed("Alien", 1979),
    Listed("Aliens", 1986),
    Listed("The Matrix Reloaded", 2003),
    Listed("The Matrix Revolutions", 2003),
    Listed("Kill Bill: Vol. 1", 2003),
    Listed("Kill Bill: Vol. 2", 2004),
    Listed("Che: Part One", 2008),
    Listed("Che: Part Two", 2008),
    Listed("Paradise: Love", 2012),
    Listed("Paradise: Hope", 2013),
    Listed("Harry Potter and the Deathly Hallows: Part 1", 2010),
    Listed("Harry Potter and the Deathly Hallows: Part 2", 2011),
    Listed("Ocean's Eleven", 2001),
    Listed("Ocean's Twelve", 2004),
)
FREE = {"llm": "auto", "llm_style": "free"}
LETTERS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


def found(database: Database, title: str, year: int | None = None) -> tuple[str, int] | None:
    with database.read() as session:
        film = films.look_up(session, title, year)
        return (film.title, film.year) if film else None


def add(database: Database, *listed: Listed) -> None:
    with database.write() as session:
        films.merge(session, listed)


def ask(app: Flask, **body: object) -> dict[str, Any]:
    answered = app.test_client().post("/inference", json={"limit": 30} | body)
    assert answered.status_code == 200, answered.text
    got: dict[str, Any] = answered.get_json()
    return got


def names(*films_named: tuple[str, int]) -> Behaviour:
    return says(answer({"title": title, "year": year, "why": "So."} for title, year in films_named))


@pytest.mark.parametrize(
    ("title", "year", "film"),
    [
        ("the parasite", 2019, ("Parasite", 2019)),
        ("Parasite (2019)", None, ("Parasite", 2019)),
        ("Parasite", 2017, ("Parasite", 2019)),
        ("Parasite", 2013, None),
        # Four films have that title.
        ("Little Women", 2016, None),
        ("Little Women", 2018, ("Little Women", 2019)),
        ("Beauty and the Beast", 1946, ("Beauty and the Beast", 1946)),
        ("Beauty and the Beast", 1992, ("Beauty and the Beast", 1991)),
        ("Beauty and the Beast", None, ("Beauty and the Beast", 1991)),
        # A remake that the table doesn't hold.
        ("Beauty and the Beast", 2017, None),
        ("Parasyte", 2019, ("Parasite", 2019)),
        ("Parasyte", 2020, ("Parasite", 2019)),
        ("Parasyte", 2016, None),
        ("Parasyte", None, None),
        ("Interstelar", None, ("Interstellar", 2014)),
        ("Lost in Transaltion", 2003, ("Lost in Translation", 2003)),
        ("Grand Budapest Hotel", 2014, ("The Grand Budapest Hotel", 2014)),
        ("A Film Nobody Made", 2003, None),
        ("", None, None),
        ("!!!", 2019, None),
    ],
)
def test_a_title_means_the_film_it_is_spelled_like(
    database: Database, title: str, year: int | None, film: tuple[str, int] | None
) -> None:
    assert found(database, title, year) == film


@pytest.mark.parametrize("missing", SEQUELS, ids=lambda film: film.title)
@pytest.mark.parametrize("off", [0, 1, None])
def test_a_sequel_is_no_other_film_of_its_series(
    database: Database, missing: Listed, off: int | None
) -> None:
    add(database, *(film for film in SEQUELS if film is not missing))
    with database.write() as session:
        named = select(FilmName.film_id).where(FilmName.key == titles.key(missing.title))
        gone = session.scalars(named).all()
        session.execute(delete(FilmName).where(FilmName.film_id.in_(gone)))
        session.execute(delete(Film).where(Film.id.in_(gone)))
    year = None if off is None else missing.year + off
    assert found(database, missing.title, year) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rocky 2", "rocky ii"),
        ("twelve monkeys", "12 monkeys"),
        ("spiderman", "spider man"),
        ("alien3", "alien 3"),
        ("lord of rings", "lord of the rings"),
        ("shawshenk redemption", "shawshank redemption"),
        ("ratatoullie", "ratatouille"),
    ],
)
def test_these_may_be_one_film(one: str, other: str) -> None:
    assert [key for key, _ in fuzzy.matches(one, [other])] == [other]
    assert [key for key, _ in fuzzy.matches(other, [one])] == [one]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mother", "father"),
        ("brothers", "mothers"),
        ("taken", "token"),
        ("1917", "1918"),
        ("apollo 13", "apollo 18"),
        ("vol1 of tales", "vol2 of tales"),
        ("before sunrise", "before sunset"),
        ("first blood", "second blood"),
        ("of the", "and the"),
    ],
)
def test_these_are_two_films(one: str, other: str) -> None:
    assert fuzzy.matches(one, [other]) == []


@given(st.lists(LETTERS, min_size=1, max_size=4), st.integers(1, 99), st.integers(1, 99))
def test_numbers_never_differ(words: list[str], one: int, other: int) -> None:
    keys = [" ".join([*words, str(number)]) for number in (one, other)]
    assert bool(fuzzy.matches(keys[0], keys[1:])) == (one == other) or not "".join(words)


@given(st.lists(st.text(), max_size=5), st.text())
def test_likeness_takes_any_text(others: list[str], key: str) -> None:
    assert {other for other, _ in fuzzy.matches(key, others)} <= set(others)


def test_one_of_two_films_spelled_as_alike_is_not_guessed(database: Database) -> None:
    add(database, Listed("Silverlane", 2001), Listed("Silverline", 2001))
    assert found(database, "Silverlone", 2001) is None
    assert found(database, "Silverline", 2001) == ("Silverline", 2001)


def test_a_film_is_found_by_its_other_names(database: Database) -> None:
    add(
        database,
        Listed("PARASITE", 2019, ("Gisaengchung", "Parasite")),
        Listed("The Quiet Harbour", 2001, ("Le Port tranquille",)),
    )
    assert found(database, "Gisaengchung", 2019) == ("Parasite", 2019)
    assert found(database, "gisaengchng", 2019) == ("Parasite", 2019)
    assert found(database, "Le port tranquille") == ("The Quiet Harbour", 2001)


def test_the_llm_names_films_as_the_station_knows_them(
    make_app: MakeApp, ollama: FakeOllama
) -> None:
    ollama.then(names(("parasyte", 2019), ("The Parasite", 2018), ("Paterson", 2015)))
    got = ask(make_app(**FREE))
    assert got["primary_llm"] == ["Parasite", "Paterson"]
    picks = {pick["title"]: pick for pick in got["picks"]}
    assert [picks[title]["sources"]["llm"] for title in got["primary_llm"]] == [1, 2]
    assert [picks[title]["year"] for title in got["primary_llm"]] == [2019, 2016]
    assert all(pick["known"] for pick in got["picks"])


def test_an_excluded_film_does_not_come_back_misspelt(
    make_app: MakeApp, ollama: FakeOllama
) -> None:
    ollama.then(names(("Parasyte", 2019), ("Paterson", 2016)))
    got = ask(make_app(**FREE), exclude=["Parasite"])
    assert got["primary_llm"] == ["Paterson"]
    assert "Parasite" not in got["movies"]


def test_an_invented_film_comes_after_known_ones_of_its_place(
    make_app: MakeApp, ollama: FakeOllama
) -> None:
    ollama.then(names(("Paterson", 2016), ("The Fog Over Mapo", 2014), ("Dust And Tea", 2020)))
    got = ask(make_app(**FREE))
    assert got["primary_llm"] == ["Paterson", "The Fog Over Mapo", "Dust And Tea"]
    unknown = {pick["title"]: place for place, pick in enumerate(got["picks"]) if not pick["known"]}
    assert unknown.keys() == {"The Fog Over Mapo", "Dust And Tea"}
    for title, place in unknown.items():
        pick = got["picks"][place]
        assert (pick["title"], pick["sources"].keys()) == (title, {"llm"})
        rank = pick["sources"]["llm"]
        rivals = [
            other
            for other, known in enumerate(got["picks"])
            if known["known"] and rank in known["sources"].values()
        ]
        assert rivals
        assert max(rivals) < place


def test_invented_films_can_be_dropped(make_app: MakeApp, ollama: FakeOllama) -> None:
    ollama.then(names(("Dust And Tea", 2020), ("Paterson", 2016)))
    got = ask(make_app(**FREE, unknown_films="drop"))
    assert got["primary_llm"] == ["Paterson"]
    assert "Dust And Tea" not in got["movies"]
    assert len(got["movies"]) == 30
    assert all(pick["known"] for pick in got["picks"])


def test_invented_films_are_dropped_though_the_films_cannot_be_read(
    make_app: MakeApp, ollama: FakeOllama, database: Database
) -> None:
    app = make_app(**FREE, unknown_films="drop")
    with database.write() as session:
        session.execute(text("ALTER TABLE film_names RENAME TO moved"))
    ollama.then(names(("Dust And Tea", 2020), ("Paterson", 2016)))
    assert ask(app)["primary_llm"] == ["Paterson"]


def test_films_that_were_imported_are_known(
    make_app: MakeApp, ollama: FakeOllama, database: Database
) -> None:
    add(database, Listed("Dust and Tea", 2019))
    ollama.then(names(("DUST AND TEA", 2020)))
    got = ask(make_app(**FREE))
    [pick] = [each for each in got["picks"] if "llm" in each["sources"]]
    assert (pick["title"], pick["year"], pick["known"]) == ("Dust and Tea", 2019, True)


def test_an_imported_remake_shows_no_traits_of_another_film(
    make_app: MakeApp, ollama: FakeOllama, database: Database
) -> None:
    evening = {"mood": "sad", "tone": "subdued"}
    best = ask(make_app(), **evening)["picks"][0]
    twin = Listed(best["title"], best["year"] - 40)
    add(database, twin)
    ollama.then(names((twin.title, twin.year)))
    got = ask(make_app(**FREE), **evening)
    [pick] = [each for each in got["picks"] if "llm" in each["sources"]]
    assert (pick["title"], pick["year"], pick["known"]) == (twin.title, twin.year, True)
    # The catalogue ranks the other film of that title.
    assert pick["sources"].keys() == {"llm"}
    assert pick["why"].startswith("The LLM says")
    [other] = [each for each in got["picks"] if each["title"] == best["title"] and each != pick]
    assert (other["year"], "llm" in other["sources"]) == (best["year"], False)


def test_a_film_of_the_log_alone_is_not_known(make_app: MakeApp) -> None:
    app = make_app(retrain_rows=1000)
    for _ in range(30):
        app.test_client().post("/inference/log", json={"movieTitle": "Our Own Holiday Video"})
    station, trainer = (app.extensions[f"moodflix.{each}"] for each in ("station", "trainer"))

    def learned() -> bool:
        # The first choice may have set the background at it, which leaves no place for us.
        trainer.learn()
        return bool(station.learned.model.rows == 30)

    await_condition(learned, "the model to learn 30 choices")
    got = ask(app, limit=50)
    [pick] = [each for each in got["picks"] if each["title"] == "Our Own Holiday Video"]
    assert pick["known"] is False


def test_picks_of_a_stream_are_looked_up_too(make_app: MakeApp, ollama: FakeOllama) -> None:
    ollama.then(names(("Parasyte", 2019), ("Dust And Tea", 2020)))
    answered = (
        make_app(**FREE)
        .test_client()
        .post("/inference", json={}, headers={"Accept": "text/event-stream"})
    )
    told = [
        json.loads(block.partition("\ndata: ")[2])
        for block in answered.text.split("\n\n")
        if block.startswith("event: pick\n")
    ]
    assert [(each["title"], each["year"], each["known"]) for each in told] == [
        ("Parasite", 2019, True),
        ("Dust And Tea", 2020, False),
    ]
