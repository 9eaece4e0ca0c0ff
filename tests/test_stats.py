from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session

from moodflix.requests import COLUMNS
from moodflix.store import stats
from moodflix.store.database import Database
from moodflix.store.sums import rebuild
from tests.conftest import MakeApp
from tests.learning import fill

EVER = date(1900, 1, 1), date(2999, 12, 31)
TODAY = (date.today() - timedelta(days=1), date.today() + timedelta(days=1))  # noqa: DTZ011 - the station's clock
KINDS = ("list", "catalogue")


@pytest.fixture(autouse=True)
def far_west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock with summer time, hours away from UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def rows(
    database: Database, name: str, first: date = EVER[0], last: date = EVER[1]
) -> list[tuple[Any, ...]]:
    with database.read() as session:
        return stats.table(session, name, first, last).rows


def sums(database: Database) -> list[Any]:
    """Every sum that is not zero."""
    with database.read() as session:
        return sums_in(session)


def sums_in(session: Session) -> list[Any]:
    tallied = session.execute(text("SELECT * FROM tallies WHERE n <> 0 ORDER BY 1, 2, 3, 4"))
    films = session.execute(text("SELECT * FROM film_tallies WHERE to_36 <> 0 ORDER BY 1, 2, 3"))
    return [tuple(row) for row in (*tallied, *films)]


def ask(client: FlaskClient, **body: Any) -> dict[str, Any]:
    answered = client.post("/inference", json=body)
    assert answered.status_code == 200, answered.text
    got: dict[str, Any] = answered.get_json()
    assert got["inferenceId"], got["warnings"]
    return got


def choose(client: FlaskClient, title: str, **body: Any) -> None:
    logged = client.post("/inference/log", json={"movieTitle": title} | body)
    assert logged.status_code == 200, logged.text


def test_an_empty_station_has_empty_tables(database: Database) -> None:
    assert len(stats.TABLES) == 9
    with database.read() as session:
        assert stats.span(session) is None
        for name in stats.TABLES:
            found = stats.table(session, name, *EVER)
            assert found.rows == []
            assert len(found.columns) > 2 or name == "choices"


def test_choices_are_counted_on_the_days_of_the_stations_clock(
    client: FlaskClient, database: Database
) -> None:
    for sent, mood in (
        ("2026-03-08T04:59:59Z", "sad"),
        ("2026-03-08T05:00:00Z", "gloomy"),  # midnight of a Sunday that is an hour short
        ("2026-03-09T03:59:59.9999Z", "행복"),
        ("2026-03-09T04:00:00Z", "beige"),
    ):
        choose(client, "Paterson", clientSentAt=sent, mood=mood)
    assert rows(database, "choices") == [
        ("2026-03-07", 1),
        ("2026-03-08", 2),
        ("2026-03-09", 1),
    ]
    assert rows(database, "hours") == [
        (0, 0, "", 1),
        (5, 23, "sad", 1),
        (6, 0, "sad", 1),
        (6, 23, "happy", 1),
    ]
    assert rows(database, "films", date(2026, 3, 8), date(2026, 3, 9)) == [
        ("happy", "Paterson", 1),
        ("sad", "Paterson", 1),
    ]
    with database.read() as session:
        assert stats.span(session) == (date(2026, 3, 7), date(2026, 3, 9))


def test_a_film_stands_under_one_title(client: FlaskClient, database: Database) -> None:
    for title in (
        '"""Mother"""',
        "MOTHER",
        "Mother (2009)",
        "A Film of Our Own",
        "기생충",
        "Parasite",
    ):
        choose(client, title, mood="sad", clientSentAt="2026-01-05T12:00:00Z")
    assert rows(database, "films") == [
        ("sad", "Mother", 3),
        ("sad", "Parasite", 2),
        ("sad", "A Film of Our Own", 1),
    ]


def test_where_a_choice_came_from(client: FlaskClient, database: Database) -> None:
    first, second = ask(client, mood="sad"), ask(client, mood="happy")
    chosen = first["picks"][3]
    choose(client, chosen["title"], inferenceId=first["inferenceId"])
    choose(client, "No Film Of The List", inferenceId=second["inferenceId"])
    rank = chosen["sources"]["catalogue"]
    expected = [("catalogue", min(rank, 11), 1), ("list", 4, 1)]
    assert rows(database, "origins", *TODAY) == expected
    assert rows(database, "origins", date(2020, 1, 1), date(2020, 12, 31)) == []
    accepted = {row[:2]: row[2:] for row in rows(database, "acceptance", *TODAY)}
    assert set(accepted) == {(who, k) for who in KINDS for k in (1, 3, 5)}
    assert accepted["list", 3][:3] == (2, 0, 0)
    assert accepted["list", 5][:3] == (2, 1, 0.5)
    # as R's prop.test(1, 2, correct = FALSE) has it
    assert accepted["list", 5][3:] == pytest.approx((0.0945, 0.9055), abs=0.0001)
    assert accepted["catalogue", 5][1] == (rank <= 5)


def test_an_answer_is_accepted_once_at_its_best(client: FlaskClient, database: Database) -> None:
    got = ask(client, mood="sad")
    for place in (4, 0, 0):
        choose(client, got["movies"][place], inferenceId=got["inferenceId"])
    assert [row for row in rows(database, "origins") if row[0] == "list"] == [
        ("list", 1, 2),
        ("list", 5, 1),
    ]
    assert {row[3] for row in rows(database, "acceptance") if row[0] == "list"} == {1}
    with database.write() as session:
        session.execute(text("DELETE FROM logs WHERE id > 1"))
        rebuild(session)
    assert [row[3] for row in rows(database, "acceptance") if row[0] == "list"] == [0, 0, 1]


def test_a_reading_counts_once_and_the_last_word_holds(
    client: FlaskClient, database: Database
) -> None:
    read = ask(client, text="I feel so sad and lonely")
    assert read["perceived"]["mood"]["source"] == "words"
    assert rows(database, "readings") == [("sad", "sad", 1)]
    echoed = ask(client, mood="sad", corrects=read["inferenceId"])
    assert rows(database, "readings") == [("sad", "sad", 1)]
    angry = ask(client, mood="angry", corrects=echoed["inferenceId"])
    assert rows(database, "readings") == [("sad", "angry", 1)]
    stayed = ask(client, mood="angry", intent="stay", corrects=angry["inferenceId"])
    ask(client, mood="glücklich", corrects=stayed["inferenceId"])
    assert rows(database, "readings") == [("sad", "", 1)]
    ask(client, mood="joyful", corrects=stayed["inferenceId"])
    assert rows(database, "readings") == [("sad", "happy", 1)]
    ask(client, text="so angry and furious", corrects=read["inferenceId"])
    assert rows(database, "readings") == [("angry", "angry", 1), ("sad", "happy", 1)]


@pytest.mark.parametrize("first", [{"mood": "sad"}, {}])
def test_what_no_machine_read_is_not_corrected(
    client: FlaskClient, database: Database, first: dict[str, Any]
) -> None:
    got = ask(client, **first)
    ask(client, mood="angry", corrects=got["inferenceId"])
    ask(client, mood="angry", corrects="an id that never was")
    assert rows(database, "readings") == []
    with database.read() as session:
        assert session.scalars(text("SELECT DISTINCT corrects FROM answers")).all() == [None]


@pytest.mark.parametrize("bad", [["x"], {"id": "x"}, 201 * "x"])
def test_what_cannot_be_an_id_is_named(client: FlaskClient, bad: object) -> None:
    answered = client.post("/inference", json={"mood": "sad", "corrects": bad})
    assert answered.status_code == 400
    assert [each["field"] for each in answered.get_json()["details"]] == ["corrects"]


def test_answers_are_counted_by_seconds_and_what_the_llm_did(
    client: FlaskClient, database: Database
) -> None:
    for _ in range(3):
        ask(client, mood="sad")
    ((_, status, answers),) = rows(database, "llm")
    assert (status, answers) == ("off", 3)
    with database.write() as session:
        session.execute(text("DELETE FROM answer_picks"))
        session.execute(text("DELETE FROM answers"))
        columns = "id, answered_at, context, mood_source, tone_source, llm_status, llm_numbers"
        for at, seconds in enumerate([0.0123, *[3.14] * 19, *[75.0] * 20]):
            session.execute(
                text(
                    f"INSERT INTO answers ({columns}, seconds) VALUES (:id,"
                    " '2026-01-05 12:00:00.000000', '{}', 'none', 'none', 'used', '{}', :seconds)"
                ),
                {"id": str(at), "seconds": seconds},
            )
        rebuild(session)
    ((day, answers, median, high),) = rows(database, "seconds")
    assert (day, answers) == ("2026-01-05", 40)
    assert median == pytest.approx(3.14, rel=0.05)
    assert high == pytest.approx(75, rel=0.1)
    assert rows(database, "llm") == [("2026-01-05", "used", 40)]


def test_what_the_llm_failed_at_is_counted(make_app: MakeApp, database: Database) -> None:
    ask(make_app(llm="auto").test_client(), mood="sad")
    ask(make_app().test_client(), mood="sad")
    assert [row[1:] for row in rows(database, "llm", *TODAY)] == [("off", 1), ("unavailable", 1)]


def test_each_training_leaves_its_figures(app: Flask, database: Database) -> None:
    for choices in (6, 300):
        fill(app, choices)
        done = app.test_cli_runner().invoke(args=["model", "train"])
        assert done.exit_code == 0, done.output
    found = rows(database, "models", *TODAY)
    assert found[0][2:] == (6, None, None, None, False)
    number, made_at, learned, held_out, hit10, popularity, worse = found[-1]
    assert (number, learned, worse) == (len(found), 300, False)
    assert 0 < held_out <= 300
    assert (hit10, popularity) == (pytest.approx(1), pytest.approx(1))
    assert datetime.fromisoformat(made_at).utcoffset() == timedelta(0)
    assert rows(database, "models", date(2020, 1, 1), date(2020, 12, 31)) == []


def test_a_model_is_used_though_its_figures_cannot_be_kept(
    app: Flask, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    fill(app, 6)
    with database.write() as session:
        session.execute(text("DROP TABLE trainings"))
    done = app.test_cli_runner().invoke(args=["model", "train"])
    assert done.exit_code == 0, done.output
    assert "the figures of model" in caplog.text


def test_an_import_and_a_deletion_are_counted(
    cli: FlaskCliRunner, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for day in range(1, 31):
            sent = f"2026-01-{day:02}T12:00:00Z"
            writer.writerow([sent, *[""] * 8, "sad", "", f"Film {day % 3}"])
    for _ in range(2):  # the second adds nothing
        assert cli.invoke(args=["logs", "import", str(path)]).exit_code == 0
        assert len(rows(database, "choices")) == 30
    part = date(2026, 1, 4), date(2026, 1, 12)
    assert rows(database, "films", *part) == [("sad", f"Film {n}", 3) for n in (0, 1, 2)]
    with database.write() as session:
        session.execute(text("DELETE FROM logs WHERE movie_title = 'Film 2'"))
    assert cli.invoke(args=["stats", "rebuild"]).output.startswith("The sums are those of 20 ch")
    assert rows(database, "films", *part) == [("sad", f"Film {n}", 3) for n in (0, 1)]
    with database.write() as session:
        session.execute(text("DELETE FROM logs"))
        rebuild(session)
    assert sums(database) == []


def test_clocks_at_the_ends_of_time_do_no_harm(client: FlaskClient, database: Database) -> None:
    for sent in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        choose(client, "Paterson", clientSentAt=sent, mood="sad")
    with database.read() as session:
        first, last = stats.span(session) or EVER
    assert first.year == 1
    assert TODAY[0] <= last <= TODAY[1]
    for name in stats.TABLES:
        rows(database, name, date.min, date.max)
    assert rows(database, "films", date(2020, 1, 1), date(2020, 12, 31)) == []
    assert rows(database, "films", *TODAY) == [("sad", "Paterson", 1)]
