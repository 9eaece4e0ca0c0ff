from __future__ import annotations

from collections import defaultdict

import pytest
from sqlalchemy import delete, event, select
from sqlalchemy.orm import Session

from moodflix.films import shipped
from moodflix.films.film_lists import Listed
from moodflix.store import films, migration
from moodflix.store.database import Database
from moodflix.store.models import Film, FilmName

Rows = list[tuple[object, ...]]


def table(session: Session) -> Rows:
    return [
        tuple(row)
        for model in (Film, FilmName)
        for row in session.execute(select(*model.__table__.columns).order_by(model.id))
    ]


def held(session: Session) -> set[tuple[str, int]]:
    rows = session.scalars(select(Film).where(Film.shipped))
    return {(row.title, row.year) for row in rows}


def meant(session: Session, title: str) -> list[tuple[str, int]]:
    [found] = films.meant(session, [(title, None)])
    return [(film.title, film.year) for film in found]


def test_a_migrated_database_knows_what_ships(database: Database) -> None:
    with database.read() as session:
        assert held(session) == {(film.title, film.year) for film in shipped.films()}


@pytest.mark.parametrize("name", ["기생충", "Le Fabuleux Destin d'Amélie Poulain"])
def test_a_film_is_known_by_its_original_title(database: Database, name: str) -> None:
    with database.read() as session:
        found = films.look_up(session, name)
        ours = shipped.find(name)
        assert found is not None
        assert ours is not None
        assert (found.title, found.year) == (ours.title, ours.year)
        assert [(film.title, film.shipped) for film in films.search(session, name, 1)] == [
            (ours.title, True)
        ]


def test_a_name_has_its_language(database: Database) -> None:
    names = select(FilmName.spelling, FilmName.language).join(Film)
    with database.read() as session:
        rows = session.execute(names.where(Film.film_key == "parasite (2019)"))
        assert sorted(map(tuple, rows)) == [("Parasite", "en"), ("기생충", "ko")]


def test_a_film_s_own_title_comes_before_an_original_one(database: Database) -> None:
    with database.read() as session:
        # "Dracula" is the original title of "Horror of Dracula", too.
        assert meant(session, "Dracula") == [("Dracula", 1931)]
        assert meant(session, "Dracula (1958)") == [("Horror of Dracula", 1958)]


def test_every_shipped_film_is_meant_by_its_title_and_year(database: Database) -> None:
    ours = shipped.films()
    with database.read() as session:
        dated = films.meant(session, [(film.title, film.year) for film in ours])
        alone = films.meant(session, [(film.title, None) for film in ours])
    spelled = defaultdict(list)
    for film in ours:
        spelled[film.title.casefold()].append(film)
    for film, [found], [first, *others] in zip(ours, dated, alone, strict=True):
        assert (found.title, found.year) == (film.title, film.year)
        assert shipped.find(film.title, film.year) is film
        assert shipped.find(f"{film.title} ({film.year})") is film
        spelled_so = spelled[film.title.casefold()]
        assert len(others) == len(spelled_so) - 1
        best = max(spelled_so, key=lambda each: (each.renown, each.year))
        assert (first.title, first.year) == (best.title, best.year)
        assert shipped.find(film.title) is best


@pytest.mark.parametrize(
    ("title", "meant_films"),
    [
        ("Taxi Driver", [("Taxi Driver", 1976)]),
        ("A Taxi Driver", [("A Taxi Driver", 2017)]),
        ("taxi driver, a", [("A Taxi Driver", 2017)]),
        ("Taxi Driver (2017)", [("A Taxi Driver", 2017)]),
        ("Help!", [("Help!", 1965)]),
        ("the help", [("The Help", 2011)]),
        ("Emma", [("Emma", 1996)]),
        ("EMMA.", [("Emma.", 2020)]),
        ("Scarface", [("Scarface", 1983), ("Scarface", 1932)]),
        ("Scarface (1931)", [("Scarface", 1932)]),
        ("Scarface (1934)", []),
        ("Little Women (2018)", [("Little Women", 2019)]),
        ("Little Women (2016)", []),
        ("Parasite (2017)", []),
        ("Little Women", [("Little Women", year) for year in (2019, 1994, 1933, 1949)]),
        ("the parasite", [("Parasite", 2019)]),
        ("Mother", [("Mother", 2009)]),
        # Neither ships.
        ("mother!", []),
        ("Dune (1984)", []),
    ],
)
def test_an_exact_spelling_and_a_year_tell_films_apart(
    database: Database, title: str, meant_films: list[tuple[str, int]]
) -> None:
    with database.read() as session:
        assert meant(session, title) == meant_films


def test_an_imported_film_is_told_from_a_shipped_one(database: Database) -> None:
    with database.write() as session:
        films.merge(session, [Listed("mother!", 2017), Listed("Dune", 1984), Listed("Hush", 2008)])
        assert meant(session, "mother!") == [("mother!", 2017)]
        assert meant(session, "Mother") == [("Mother", 2009)]
        assert meant(session, "Mother (2017)") == [("mother!", 2017)]
        # Of one spelling the shipped film is the better known.
        assert meant(session, "Dune") == [("Dune", 2021), ("Dune", 1984)]
        assert meant(session, "Dune (1984)") == [("Dune", 1984)]
        assert meant(session, "The Hush") == [("Hush", 2008)]


def test_a_film_is_shown_with_its_year_where_its_title_means_another(database: Database) -> None:
    keys = ["scarface (1932)", "scarface (1983)", "taxi driver (2017)", "no such film (1999)"]
    with database.read() as session:
        assert films.display_titles(session, keys) == {
            "scarface (1932)": "Scarface (1932)",
            "scarface (1983)": "Scarface",
            "taxi driver (2017)": "A Taxi Driver",
        }


def test_upgrading_with_nothing_to_do_writes_nothing(database: Database) -> None:
    statements: list[str] = []
    with database.read() as session:
        before = table(session)
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    assert migration.upgrade(database) == len(shipped.films())
    assert [
        each for each in statements if not each.startswith(("SELECT", "PRAGMA", "BEGIN D"))
    ] == []
    with database.read() as session:
        assert table(session) == before


def test_what_no_longer_ships_is_taken_back_but_still_known(database: Database) -> None:
    with database.write() as session:
        films.merge(session, [Listed("A Film Of Long Ago", 1901)])
        film = session.scalars(select(Film).where(Film.title == "A Film Of Long Ago")).one()
        film.shipped = True
    with database.write() as session:
        films.import_shipped(session)
    with database.read() as session:
        [known] = films.of_keys(session, ["film of long ago (1901)"]).values()
        assert (known.title, known.shipped) == ("A Film Of Long Ago", False)
        assert len(held(session)) == len(shipped.films())


def test_what_ships_anew_or_was_mended_is_brought_up_to_date(database: Database) -> None:
    with database.write() as session:
        before = table(session)
        mended = session.scalars(select(Film).where(Film.title == "Parasite")).one()
        mended.title, mended.shipped, mended.renown = "PARASITE", False, 0
        gone = session.scalars(select(Film).where(Film.title == "Tampopo")).one()
        session.execute(delete(FilmName).where(FilmName.film_id == gone.id))
        session.delete(gone)
    migration.upgrade(database)
    with database.read() as session:
        after = table(session)
    # A row that was deleted comes back under another id.
    assert len(after) == len(before)
    assert {row[1:] for row in after if isinstance(row[1], str)} == {
        row[1:] for row in before if isinstance(row[1], str)
    }
    assert {row[2:] for row in after} == {row[2:] for row in before}


def test_only_known_films_are_found(database: Database) -> None:
    with database.read() as session:
        assert films.of_keys(session, []) == {}
        found = films.of_keys(session, {"parasite (2019)", "parasite", "", "x y z"})
    assert [(key, film.title) for key, film in found.items()] == [("parasite (2019)", "Parasite")]
