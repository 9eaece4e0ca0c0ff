from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from moodflix.films import shipped as bundled
from moodflix.films import titles
from moodflix.store import films
from moodflix.store.database import Database
from moodflix.store.models import Film

FIELDS = ("id", "key", "title", "year", "bundled", "head", "tail")
Rows = list[tuple[object, ...]]


def table(session: Session) -> Rows:
    return [
        tuple(getattr(film, field) for field in FIELDS)
        for film in session.scalars(select(Film).order_by(Film.id))
    ]


def film(title: str, year: int, *, bundled: bool) -> Film:
    return Film(key=titles.key(title), title=title, year=year, bundled=bundled)


def held(session: Session) -> set[tuple[str, int]]:
    rows = session.scalars(select(Film).where(Film.bundled))
    return {(row.title, row.year) for row in rows}


def test_a_migrated_database_knows_what_ships(database: Database) -> None:
    with database.read() as session:
        assert held(session) == {(film.title, film.year) for film in bundled.films()}


@pytest.mark.parametrize("name", ["기생충", "Le Fabuleux Destin d'Amélie Poulain"])
def test_a_film_is_known_by_its_original_title(database: Database, name: str) -> None:
    with database.read() as session:
        found = films.look_up(session, name)
        ours = bundled.find(name)
        assert found is not None
        assert ours is not None
        assert (found.title, found.year) == (ours.title, ours.year)
        assert [(film.title, film.bundled) for film in films.search(session, name, 1)] == [
            (ours.title, True)
        ]


def test_another_film_s_own_title_comes_before_an_original_one(database: Database) -> None:
    with database.read() as session:
        for ours in bundled.films():
            [row] = [f for f in films.known(session, [ours.key])[ours.key] if f.year == ours.year]
            assert row.title == ours.title


def test_importing_again_changes_nothing(database: Database) -> None:
    with database.read() as session:
        before = table(session)
    for _ in range(2):
        with database.write() as session:
            assert films.import_shipped(session) == len(bundled.films())
    with database.read() as session:
        assert table(session) == before


def test_what_no_longer_ships_is_taken_back_but_still_known(database: Database) -> None:
    with database.write() as session:
        session.add(film("A Film Of Long Ago", 1901, bundled=True))
    with database.write() as session:
        films.import_shipped(session)
    with database.read() as session:
        [known] = films.known(session, ["film of long ago"])["film of long ago"]
        assert (known.title, known.bundled) == ("A Film Of Long Ago", False)
        assert len(held(session)) == len(bundled.films())


def test_what_ships_anew_or_was_mended_is_brought_up_to_date(database: Database) -> None:
    with database.read() as session:
        before = table(session)
    with database.write() as session:
        [mended] = films.known(session, ["parasite"])["parasite"]
        mended.title, mended.bundled = "PARASITE", False
        [gone] = films.known(session, ["tampopo"])["tampopo"]
        session.delete(gone)
    with database.write() as session:
        films.import_shipped(session)
    with database.read() as session:
        after = table(session)
    # A row that was deleted comes back under another id.
    assert sorted(row[1:4] for row in after) == sorted(row[1:4] for row in before)
    assert [row for row in after if row[1] != "tampopo"] == [
        row for row in before if row[1] != "tampopo"
    ]


def test_known_films_come_bundled_first_then_oldest_first(database: Database) -> None:
    with database.write() as session:
        session.add(film("PARASITE", 1982, bundled=False))
        session.add(film("Nowhere Else", 1950, bundled=False))
    with database.read() as session:
        found = films.known(
            session, {"parasite", "nowhere else", "beauty and the beast", "", "x y z"}
        )
    years = {key: [each.year for each in known] for key, known in found.items()}
    assert years == {
        "parasite": [2019, 1982],
        "nowhere else": [1950],
        "beauty and the beast": [1946, 1991],
    }


def test_no_keys_find_no_films(database: Database) -> None:
    with database.read() as session:
        assert films.known(session, []) == {}


def test_every_shipped_film_is_found_by_its_title(database: Database) -> None:
    shipped = bundled.films()
    with database.read() as session:
        found = films.known(session, {titles.key(each.title) for each in shipped})
    for each in shipped:
        assert each.year in [known.year for known in found[titles.key(each.title)]]
