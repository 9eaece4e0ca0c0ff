"""Films of one spelling are different films, in what is logged, counted, judged and excluded."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from moodflix.films.film_lists import Listed
from moodflix.store import film_links, films
from moodflix.store.database import Database
from moodflix.store.models import AnswerPick, Feedback, Film, LogEntry
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama, answer, says

FREE = {"llm": "auto", "llm_style": "free"}
# Each: two texts as sent, and the films that are meant.
PAIRS = [
    ("Taxi Driver", "A Taxi Driver", ("Taxi Driver", 1976), ("A Taxi Driver", 2017)),
    ("mother!", "Mother", ("mother!", 2017), ("Mother", 2009)),
    ("Little Women", "Little Women (1933)", ("Little Women", 2019), ("Little Women", 1933)),
    ("Little Women (1949)", "Little Women (1994)", ("Little Women", 1949), ("Little Women", 1994)),
    ("Scarface", "Scarface (1932)", ("Scarface", 1983), ("Scarface", 1932)),
    ("Dune (1984)", "Dune", ("Dune", 1984), ("Dune", 2021)),
    ("Emma.", "Emma", ("Emma.", 2020), ("Emma", 1996)),
    ("Help!", "The Help", ("Help!", 1965), ("The Help", 2011)),
]
Named = tuple[str, int]
pairs = pytest.mark.parametrize(
    ("one", "other", "first", "second"), PAIRS, ids=[p[0] for p in PAIRS]
)


@pytest.fixture(autouse=True)
def imported(database: Database) -> None:
    with database.write() as session:
        films.merge(session, [Listed("mother!", 2017), Listed("Dune", 1984)])


@pytest.fixture
def station(make_app: MakeApp, ollama: FakeOllama) -> FlaskClient:
    """A station whose LLM says what the test queues."""
    return make_app(**FREE).test_client()


def log(client: FlaskClient, title: str, **more: Any) -> None:
    assert client.post("/inference/log", json={"movieTitle": title, **more}).status_code == 200


def ask(client: FlaskClient, **body: Any) -> dict[str, Any]:
    got: dict[str, Any] = client.post("/inference", json={"limit": 10, **body}).get_json()
    return got


def name(ollama: FakeOllama, *named: tuple[str, int | None]) -> None:
    ollama.then(says(answer({"title": title, "year": year, "why": ""} for title, year in named)))


def of_llm(got: dict[str, Any]) -> list[Named]:
    return [(pick["title"], pick["year"]) for pick in got["picks"] if "llm" in pick["sources"]]


def referred(database: Database, table: Any, *where: Any) -> list[Any]:
    """The titles and years of the films that rows refer to, in their order."""
    query = select(Film.title, Film.year).select_from(table).join(Film, Film.id == table.film_id)
    with database.read() as session:
        return [tuple(row) for row in session.execute(query.where(*where))]


@pairs
def test_each_is_logged_as_the_film_it_is(
    client: FlaskClient, database: Database, one: str, other: str, first: Named, second: Named
) -> None:
    for title in (one, other, one):
        log(client, title)
    assert referred(database, LogEntry) == [first, second, first]
    sent = client.get("/inference/log").get_json()
    assert [each["movie_title"] for each in sent] == [one, other, one]


@pairs
def test_the_llm_names_one_with_its_year_and_without(
    station: FlaskClient, ollama: FakeOllama, one: str, other: str, first: Named, second: Named
) -> None:
    name(ollama, first, second)
    assert sorted(of_llm(ask(station))) == sorted([first, second])
    for title, film in ((one, first), (other, second)):
        name(ollama, (title, None))
        assert of_llm(ask(station)) == [film]


@pairs
def test_one_is_excluded_and_the_other_is_not(
    station: FlaskClient, ollama: FakeOllama, one: str, other: str, first: Named, second: Named
) -> None:
    for field, title, left in (("exclude", one, second), ("movies", other, first)):
        name(ollama, first, second)
        assert of_llm(ask(station, **{field: [title]})) == [left]


@pairs
def test_a_verdict_is_of_one_alone(
    station: FlaskClient,
    ollama: FakeOllama,
    database: Database,
    one: str,
    other: str,
    first: Named,
    second: Named,
) -> None:
    said = {"visitor": "visitor-1", "movieTitle": one}
    assert station.post("/inference/feedback", json={**said, "verdict": "loved"}).status_code == 200
    assert referred(database, Feedback) == [first]
    name(ollama, first, second)
    assert of_llm(ask(station, visitor="visitor-1")) == [second]
    both = {**said, "movieTitle": other, "verdict": "disliked"}
    assert station.post("/inference/feedback", json=both).status_code == 200
    assert sorted(referred(database, Feedback)) == sorted([first, second])
    # With the year, as an answer has listed its namesake since.
    none = {**said, "movieTitle": f"{first[0]} ({first[1]})", "verdict": "none"}
    assert station.post("/inference/feedback", json=none).status_code == 200
    assert referred(database, Feedback) == [second]


@pairs
def test_why_lines_and_dashboard_count_them_apart(
    station: FlaskClient, ollama: FakeOllama, one: str, other: str, first: Named, second: Named
) -> None:
    for title in [one] * 7 + [other] * 4:
        log(station, title, mood="sad")
    name(ollama, first, second)
    whys = {(p["title"], p["year"]): p["why"] for p in ask(station, mood="sad")["picks"]}
    assert "7 times" in whys[first]
    assert "4 times" in whys[second]
    shown = station.get("/dashboard/data/films").get_json()["rows"]
    assert sorted(row[2] for row in shown) == [4, 7]
    assert len({row[1] for row in shown}) == 2


def test_a_choice_is_of_the_film_that_its_answer_listed(
    station: FlaskClient, ollama: FakeOllama, database: Database
) -> None:
    name(ollama, ("Scarface", 1932))
    got = ask(station)
    assert of_llm(got) == [("Scarface", 1932)]
    # By its time alone, by name of the answer, and by a year that means another film.
    log(station, "Scarface")
    log(station, "SCARFACE", inferenceId=got["inferenceId"])
    log(station, "Scarface (1983)", inferenceId=got["inferenceId"])
    years = [year for _, year in referred(database, LogEntry)]
    assert years == [1932, 1932, 1983]
    listed = referred(database, AnswerPick, AnswerPick.answer_id == got["inferenceId"])
    assert ("Scarface", 1932) in listed
    assert len(listed) == 10


def test_a_film_chosen_lately_is_held_back_and_its_namesake_is_not(
    make_app: MakeApp, ollama: FakeOllama
) -> None:
    client = make_app(**FREE, repeat_days=3).test_client()
    log(client, "A Taxi Driver")
    name(ollama, ("Taxi Driver", 1976), ("A Taxi Driver", 2017))
    assert of_llm(ask(client)) == [("Taxi Driver", 1976)]


def test_a_film_that_becomes_known_takes_what_was_said_of_it(
    make_app: MakeApp, ollama: FakeOllama, database: Database, tmp_path: Any
) -> None:
    app = make_app(**FREE)
    client = app.test_client()
    name(ollama, ("The Quiet Harbour", 1995))
    inference_id = ask(client)["inferenceId"]
    log(client, "The Quiet Harbour", inferenceId=inference_id)
    for title in ("The Quiet Harbour", "Le port tranquille"):
        said = {"visitor": "visitor-1", "movieTitle": title, "verdict": "loved"}
        assert client.post("/inference/feedback", json=said).status_code == 200
    assert referred(database, LogEntry) == referred(database, Feedback) == []
    path = tmp_path / "films.tsv"
    path.write_text(
        "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\n"
        "tt1\tmovie\tThe Quiet Harbour\tLe Port tranquille\t0\t1995\n"
    )
    done = app.test_cli_runner().invoke(args=["catalogue", "import", str(path)])
    assert done.exit_code == 0, done.output
    harbour = ("The Quiet Harbour", 1995)
    assert referred(database, LogEntry) == referred(database, Feedback) == [harbour]
    assert harbour in referred(database, AnswerPick)


def test_a_film_whose_title_names_another_year_is_shown_with_its_own(
    station: FlaskClient, database: Database
) -> None:
    with database.write() as session:
        films.merge(session, [Listed("Nineteen (1984)", 2010)])
    log(station, "Nineteen (2010)")
    assert "Nineteen (2010)" in station.get("/").text


def test_a_choice_is_of_the_unknown_film_that_its_answer_listed(
    station: FlaskClient, ollama: FakeOllama, database: Database
) -> None:
    name(ollama, ("Dune", 2000))
    got = ask(station)
    assert of_llm(got) == [("Dune", 2000)]
    log(station, "Dune", inferenceId=got["inferenceId"])
    log(station, "Dune (2021)", inferenceId=got["inferenceId"])
    with database.read() as session:
        assert session.scalars(select(LogEntry.film_key)).all() == ["dune (2000)", "dune (2021)"]


def test_a_listed_namesake_is_not_taken_for_the_film_that_is_meant(
    station: FlaskClient, ollama: FakeOllama, database: Database
) -> None:
    name(ollama, ("Taxi Driver", 1976))
    log(station, "A Taxi Driver", inferenceId=ask(station)["inferenceId"])
    assert referred(database, LogEntry) == [("A Taxi Driver", 2017)]


def test_a_verdict_is_taken_back_though_an_answer_has_listed_the_film_since(
    station: FlaskClient, ollama: FakeOllama, database: Database
) -> None:
    sent = {"visitor": "visitor-1", "movieTitle": "Zzyx Nights"}
    station.post("/inference/feedback", json={**sent, "verdict": "loved"})
    name(ollama, ("Zzyx Nights", 2005))
    inference_id = ask(station)["inferenceId"]
    none = {**sent, "verdict": "none", "inferenceId": inference_id}
    assert station.post("/inference/feedback", json=none).status_code == 200
    with database.read() as session:
        assert session.scalars(select(Feedback.title)).all() == []


def test_a_year_sent_beside_the_title_names_the_film(
    client: FlaskClient, database: Database
) -> None:
    for year in (1984, "1984", 2021, 1999, None, "next year", 1984.5, True, ["1984"]):
        log(client, "Dune", movieYear=year)
    with database.read() as session:
        keys = session.scalars(select(LogEntry.film_key)).all()
    assert keys == ["dune (1984)"] * 2 + ["dune (2021)", "dune (1999)"] + ["dune (2021)"] * 5
    sent = client.get("/inference/log").get_json()
    assert {each["movie_title"] for each in sent} == {"Dune"}


def test_a_film_that_becomes_known_takes_the_choices_of_its_year_alone(
    client: FlaskClient, database: Database
) -> None:
    for year in (1999, 2008):
        log(client, "Dune", movieYear=year)
    with database.write() as session:
        films.merge(session, [Listed("Dune", 1999)])
        film_links.link(session)
    assert referred(database, LogEntry) == [("Dune", 1999)]
    with database.read() as session:
        assert session.scalars(select(LogEntry.film_key)).all() == ["dune (1999)", "dune (2008)"]


def test_a_verdict_with_a_year_is_of_that_film_alone(
    client: FlaskClient, database: Database
) -> None:
    def judge(verdict: str, **film: Any) -> None:
        body = {"visitor": "visitor-1", "verdict": verdict, **film}
        assert client.post("/inference/feedback", json=body).status_code == 200

    judge("loved", movieTitle="Dune")
    judge("disliked", movieTitle="Dune", movieYear=1984)
    assert sorted(referred(database, Feedback)) == [("Dune", 1984), ("Dune", 2021)]
    # Taken back twice, as when the first did not arrive.
    for _ in range(2):
        judge("none", movieTitle="Dune", movieYear=1984)
    assert referred(database, Feedback) == [("Dune", 2021)]
