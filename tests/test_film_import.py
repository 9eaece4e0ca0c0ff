from __future__ import annotations

import csv
import gzip
import io
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from moodflix.errors import InvalidInputError
from moodflix.films import film_lists, shipped, titles
from moodflix.films.film_lists import Listed
from moodflix.store import films
from moodflix.store.database import Database
from moodflix.store.models import Film, film_tallies
from tests.memory import flask

MOVIELENS = """movieId,title,genres
1,"Quiet Harbour, The (1995)",Drama
2,"Island of Lost Maps, The (Île des cartes perdues, L') (1995)",Adventure
3,Eight (a.k.a. Ei8ht) (1995),Crime
4,"Heronman: Or (The Long Way Round) (2014)",Comedy
5,No Year At All,Drama
6,"She said ""Stay"" (2001)",Drama
7,"(400) Days of Rain (2009)",Romance
8,"Never closed (1999),Drama
9,After It (1999),Drama
10,"Quiet Harbour, The (1995)",Drama
"""
IMDB_HEADER = (
    "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear"
    "\truntimeMinutes\tgenres\n"
)
IMDB = IMDB_HEADER + "".join(
    "\t".join((f"tt{place}", *cells, r"\N", "90", "Drama")) + "\n"
    for place, cells in enumerate(
        [
            ("movie", "The Quiet Harbour", "Le Port tranquille", "0", "1995"),
            ("movie", 'She said "Stay', 'She said "Stay', "0", "2001"),
            ("short", "A Short", "A Short", "0", "2001"),
            ("tvEpisode", "An Episode", "An Episode", "0", "2001"),
            ("movie", "Not For Children", "Not For Children", "1", "2001"),
            ("movie", "Without Year", "Without Year", "0", r"\N"),
        ]
    )
)
PLAIN = "\ufeffYear;Title".replace(";", ",") + "\r\n1995,The Quiet Harbour\r\n\r\n95,Odd Year\r\n"

MakeFile = Callable[[str | bytes], Path]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(content: str | bytes) -> Path:
        path = tmp_path / "films"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def read(content: str | bytes) -> list[film_lists.Row]:
    data = content.encode() if isinstance(content, str) else content
    return list(film_lists.read(io.BytesIO(data)))


def names_of(listed: film_lists.Row) -> tuple[str, int, set[str]]:
    assert isinstance(listed, Listed)
    return listed.title, listed.year, {titles.key(name) for name in listed.others}


def test_it_reads_movielens() -> None:
    harbour, island, eight, heron, *rest = read(MOVIELENS)
    assert names_of(harbour) == ("The Quiet Harbour", 1995, set())
    assert names_of(island)[:2] == ("The Island of Lost Maps", 1995)
    assert "lîle des cartes perdues".replace("î", "i") in names_of(island)[2]
    assert names_of(eight)[:2] == ("Eight", 1995)
    assert "ei8ht" in names_of(eight)[2]
    assert names_of(heron) == ("Heronman: Or (The Long Way Round)", 2014, set())
    assert rest == [
        "no year",
        Listed('She said "Stay"', 2001),
        Listed("(400) Days of Rain", 2009),
        "a broken row",
        Listed("After It", 1999),
        harbour,
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_it_reads_imdb(*, packed: bool) -> None:
    data = IMDB.encode()
    assert read(gzip.compress(data) if packed else data) == [
        Listed("The Quiet Harbour", 1995, ("Le Port tranquille",)),
        Listed('She said "Stay', 2001),
        "not a movie",
        "not a movie",
        "for adults only",
        "no year",
    ]


@pytest.mark.parametrize(
    "title",
    ["Beneath", "Beneath (2013)", "Beneath (II)", "Beneath (2013/II)", "Beneath (II) (2013)"],
)
def test_a_year_or_number_that_imdb_appends_is_no_part_of_the_title(title: str) -> None:
    row = ("tt1", "movie", title, title, "0", "2013", r"\N", "90", "Drama")
    for content in (
        IMDB_HEADER + "\t".join(row) + "\n",
        f"title,year\n{title},2013\n",
        f"movieId,title,genres\n1,{title.removesuffix(' (2013)')} (2013),Drama\n",
    ):
        assert read(content) == [Listed("Beneath", 2013)]


def test_it_reads_a_plain_csv() -> None:
    assert read(PLAIN) == [Listed("The Quiet Harbour", 1995), "not a year"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"title,year\n\xff\xfe,2001\n", "a title that can't be stored"),
        (f"title,year\n{'x' * 301},2001\n", "a title that can't be stored"),
        (f"title,year\n{'x' * 70_000},2001\nA,2001\n", "a broken row"),
        ("title,year\n  ,2001\n", "no title"),
        ("title,year\nA,\n", "no year"),
        ("title,year\nA,20O1\n", "not a year"),
        ("title,year\nA,9999\n", "not a year"),
        ("title,year\nA,2001,B\n", "a broken row"),
        ("title,year\nA\n", "a broken row"),
        ('title,year\n"A,2001\n', "a broken row"),
        ('title\n"A (2001)\n', "a broken row"),
        (f"title\n{'x' * 70_000}\n", "a broken row"),
    ],
)
def test_it_says_why_a_row_is_skipped(content: str | bytes, why: str) -> None:
    assert read(content)[0] == why


def test_a_cell_may_hold_line_ends() -> None:
    assert read('title,year,plot\nA,2001,"one\ntwo\n\nthree"\nB,2002,\n') == [
        Listed("A", 2001),
        Listed("B", 2002),
    ]


TITLE = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]),
    min_size=1,
    max_size=30,
).filter(
    lambda text: (
        titles.tidy(text) == text == titles.split_year(text)[0] != ""
        and not re.search(r"\((\d{4}/)?[IVXL]+\)$", text)
    )
)


@given(st.lists(st.tuples(TITLE, st.integers(1900, 2099)), max_size=8))
def test_every_film_of_a_plain_csv_arrives(given_films: list[tuple[str, int]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("title", "year"), *given_films])
    assert read(out.getvalue()) == [
        Listed(titles.tidy(titles.article_first(title)), year) for title, year in given_films
    ]


@given(st.lists(st.tuples(TITLE, st.integers(1900, 2099)), max_size=8))
def test_a_film_of_movielens_is_found_under_its_whole_title(
    given_films: list[tuple[str, int]],
) -> None:
    out = io.StringIO()
    rows = [
        (place, f"{title} ({year})", "Drama") for place, (title, year) in enumerate(given_films)
    ]
    csv.writer(out).writerows([("movieId", "title", "genres"), *rows])
    for row, (title, year) in zip(read(out.getvalue()), given_films, strict=True):
        assert isinstance(row, Listed)
        assert row.year == year
        assert titles.key(title) in {titles.key(name) for name in (row.title, *row.others)}


@given(
    st.binary(max_size=300),
    st.sampled_from([b"title,year\n", IMDB_HEADER.encode(), b"", b"\x1f\x8b"]),
)
def test_any_bytes_are_read_or_refused(data: bytes, header: bytes) -> None:
    try:
        rows = read(header + data)
    except InvalidInputError:
        return
    for row in rows:
        assert isinstance(row, str) or (row.title and 1870 <= row.year <= 2100)


def test_import_adds_for_look_ups_only_and_says_what_it_skipped(
    cli: FlaskCliRunner, make_file: MakeFile, database: Database
) -> None:
    done = cli.invoke(args=["catalogue", "import", str(make_file(MOVIELENS))])
    assert done.exit_code == 0, done.stderr
    first, *skipped = done.stdout.splitlines()
    assert re.fullmatch(r"7 films added under \d+ names, 1 already held, 2 rows skipped\.", first)
    assert sorted(skipped) == ["skipped 1: a broken row", "skipped 1: no year"]
    with database.read() as session:
        ranked = session.scalars(select(Film).where(Film.shipped))
        assert len({(film.title, film.year) for film in ranked}) == len(shipped.films())
        film = films.look_up(session, "L'île des cartes perdues", 1995)
        assert film is not None
        assert (film.title, film.shipped) == ("The Island of Lost Maps", False)


def test_importing_again_adds_nothing(
    cli: FlaskCliRunner, make_file: MakeFile, database: Database
) -> None:
    path = str(make_file(IMDB))
    outputs = [cli.invoke(args=["catalogue", "import", path]).stdout for _ in range(2)]
    assert outputs[0].startswith("2 films added under 3 names, 0 already held, 4 rows skipped.")
    assert outputs[1].startswith("0 films added under 0 names, 2 already held, 4 rows skipped.")


def test_what_ships_stays_as_it_is(
    cli: FlaskCliRunner, make_file: MakeFile, database: Database
) -> None:
    cli.invoke(args=["catalogue", "import", str(make_file("title,year\nPARASITE,2019\n"))])
    with database.read() as session:
        [[film]] = films.meant(session, [("parasite", None)])
    assert (film.title, film.shipped) == ("Parasite", True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "title"),
        ("name,year\nA,2001\n", "title"),
        (gzip.compress(IMDB.encode())[:-9], "damaged or was cut short"),
        (b"\x1f\x8bnonsense", "damaged or was cut short"),
        ("title,year\nA,2001\n".encode("utf-16"), "title"),
        ("title,year\rA,2001\r", "title"),
    ],
)
def test_a_file_that_is_no_list_is_one_line(
    cli: FlaskCliRunner, make_file: MakeFile, database: Database, content: str | bytes, why: str
) -> None:
    done = cli.invoke(args=["catalogue", "import", str(make_file(content))])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert why in done.stderr
    with database.read() as session:
        assert session.scalar(select(func.count(Film.id)).where(~Film.shipped)) == 0


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_cannot_be_read_is_one_line(
    cli: FlaskCliRunner, tmp_path: Path, name: str
) -> None:
    done = cli.invoke(args=["catalogue", "import", str(tmp_path / name)])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "can't be read" in done.stderr


def test_search_shows_what_a_title_means(cli: FlaskCliRunner, make_file: MakeFile) -> None:
    cli.invoke(args=["catalogue", "import", str(make_file("title,year\nParasite,1982\n"))])

    def search(title: str) -> list[str]:
        done = cli.invoke(args=["catalogue", "search", title])
        assert done.exit_code == 0, done.stderr
        return done.stdout.splitlines()

    both = ["Parasite (2019), ranked", "Parasite (1982), for look-ups"]
    assert search("the parasite") == search("Parasyte") == both
    assert search("Parasite (1982)") == both[1:]
    done = cli.invoke(args=["catalogue", "search", "A Film Nobody Made"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


@pytest.mark.slow
def test_many_films_are_imported_in_bounded_memory(instance: Path, tmp_path: Path) -> None:
    rng = random.Random(4)
    path = tmp_path / "title.basics.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as out:
        out.write(IMDB_HEADER)
        for place in range(25_000):
            title = f"{rng.randbytes(5).hex()} {rng.randbytes(4).hex()}"
            year = rng.randrange(1900, 2026)
            cells = ("movie", title, f"{title} autre", "0", year, r"\N", 90, "Drama")
            out.write("\t".join(map(str, (f"tt{place}", *cells))) + "\n")
    for expected in (
        "25000 films added under 50000 names, 0 already held, 0 rows skipped.\n",
        "0 films added under 0 names, 25000 already held, 0 rows skipped.\n",
    ):
        said, peak = flask(instance, "catalogue", "import", path)
        assert said == expected
        # 600 bytes a film more than a batch of them takes.
        assert peak < 140


def test_what_was_chosen_before_an_import_is_counted_under_its_film(
    client: FlaskClient, cli: FlaskCliRunner, make_file: MakeFile, database: Database
) -> None:
    client.post("/inference/log", json={"movieTitle": "quiet harbour", "mood": "sad"})
    assert cli.invoke(args=["catalogue", "import", str(make_file(MOVIELENS))]).exit_code == 0
    client.post("/inference/log", json={"movieTitle": "The Quiet Harbour (1995)", "mood": "sad"})
    with database.read() as session:
        counted = session.execute(select(film_tallies.c.film_key, film_tallies.c.to_36)).all()
    assert [tuple(row) for row in counted] == [("quiet harbour (1995)", 2)]
