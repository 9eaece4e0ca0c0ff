from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix.store import stats
from moodflix.store.database import Database
from tests.server import Serve

DATA = "/dashboard/data/choices"


def choose(client: FlaskClient, day: str, title: str = "Paterson", mood: str = "sad") -> None:
    body = {"movieTitle": title, "clientSentAt": f"{day}T12:00:00Z", "mood": mood}
    assert client.post("/inference/log", json=body).status_code == 200


@pytest.fixture
def chosen(client: FlaskClient) -> FlaskClient:
    """A station at which films were chosen from spring to summer."""
    for day in ("2026-03-01", "2026-05-03", "2026-06-01", "2026-06-01", "2026-06-30"):
        choose(client, day)
    return client


def test_tables_come_as_json_over_http(serve: Serve) -> None:
    served = serve()
    sent = {"movieTitle": "Minari", "clientSentAt": "2026-06-01T12:00:00Z"}
    assert served.post("/inference/log", sent).is_success
    for name in stats.TABLES:
        answered = served.get(f"/dashboard/data/{name}").json()
        assert list(answered) == ["columns", "rows", "first", "last"]
        assert all(len(row) == len(answered["columns"]) for row in answered["rows"])
        assert (answered["first"], answered["last"]) == ("2026-05-03", "2026-06-01")
    assert served.get(DATA).json()["rows"] == [["2026-06-01", 1]]


@pytest.mark.parametrize(
    ("query", "first", "last", "count"),
    [
        ("", "2026-06-01", "2026-06-30", 3),
        ("?days=7", "2026-06-24", "2026-06-30", 1),
        ("?days=90", "2026-04-02", "2026-06-30", 4),
        ("?days=all", "2026-03-01", "2026-06-30", 5),
        ("?from=2026-05-03", "2026-05-03", "2026-06-30", 4),
        ("?to=2026-06-01", "2026-05-03", "2026-06-01", 3),
        ("?to=2026-06-01&days=all", "2026-03-01", "2026-06-01", 4),
        ("?to=2020-01-01&days=all", "2020-01-01", "2020-01-01", 0),
        ("?from=2026-06-01&to=2026-06-01", "2026-06-01", "2026-06-01", 2),
        ("?from=1900-01-01&to=2999-12-31", "1900-01-01", "2999-12-31", 5),
        ("?from=2026-06-02&to=2026-06-29&days=7", "2026-06-02", "2026-06-29", 0),
    ],
)
def test_the_days_are_those_that_were_asked_for(
    chosen: FlaskClient, query: str, first: str, last: str, count: int
) -> None:
    answered = chosen.get(DATA + query).get_json()
    assert (answered["first"], answered["last"]) == (first, last)
    assert sum(row[1] for row in answered["rows"]) == count


@pytest.mark.parametrize("kind", ["", ".csv"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("from=20260601", "from"),
        ("to=1780272000", "to"),
        ("to=", "to"),
        ("from=1899-12-31", "from"),
        ("to=3000-01-01", "to"),
        ("from=2026-06-02&to=2026-06-01", "from"),
        ("from=2027-01-01", "from"),
        ("days=31", "days"),
        ("sample=maybe", "sample"),
        ("sample=1", "sample"),
    ],
)
def test_days_that_make_no_sense_are_refused_by_name(
    chosen: FlaskClient, kind: str, query: str, field: str
) -> None:
    answered = chosen.get(f"{DATA}{kind}?{query}")
    assert answered.status_code == 400
    [problem] = answered.get_json()["details"]
    assert problem["field"] == field
    assert answered.get_json()["error"].startswith(field)


def test_what_is_no_table_is_an_unknown_endpoint(client: FlaskClient) -> None:
    for name in ("nothing", "nothing.csv", "choices.xml", "__init__", "choices/x"):
        answered = client.get(f"/dashboard/data/{name}")
        assert answered.status_code == 404
        assert answered.get_json() == {"error": "Unknown endpoint"}


def test_a_station_where_nothing_was_chosen_has_empty_tables(client: FlaskClient) -> None:
    answered = client.get(DATA).get_json()
    assert answered["rows"] == []
    span = date.fromisoformat(answered["last"]) - date.fromisoformat(answered["first"])
    assert span == timedelta(days=29)


def test_a_table_can_be_taken_away_as_csv(chosen: FlaskClient) -> None:
    answered = chosen.get(f"{DATA}.csv?from=2026-06-01&to=2026-06-30")
    assert answered.text == "day,choices\n2026-06-01,2\n2026-06-30,1\n"
    assert answered.headers["Content-Type"] == "text/csv; charset=utf-8"
    name = "moodflix-choices-2026-06-01-2026-06-30.csv"
    assert answered.headers["Content-Disposition"] == f"attachment; filename={name}"
    for table in stats.TABLES:
        data = chosen.get(f"/dashboard/data/{table}").get_json()
        rows = list(csv.reader(io.StringIO(chosen.get(f"/dashboard/data/{table}.csv").text)))
        assert rows[0] == data["columns"]
        assert len(rows) == 1 + len(data["rows"])


@pytest.mark.parametrize("title", ['=HYPERLINK("http://x")', "+1", "-2", "@sum(1)"])
def test_no_spreadsheet_runs_a_title(client: FlaskClient, title: str) -> None:
    choose(client, "2026-06-01", title)
    rows = csv.reader(io.StringIO(client.get("/dashboard/data/films.csv").text))
    assert list(rows)[1:] == [["sad", f"'{title}", "1"]]
    assert client.get("/dashboard/data/films").get_json()["rows"] == [["sad", title, 1]]


def test_samples_are_shown_while_nothing_was_chosen_and_on_demand_after(
    client: FlaskClient, cli: FlaskCliRunner
) -> None:
    assert "flask demo load" in client.get("/dashboard").text
    assert "note sample" not in client.get("/dashboard?sample=1").text
    assert cli.invoke(args=["demo", "load", "--days", "7"]).exit_code == 0
    assert "note sample" in client.get("/dashboard").text
    choose(client, "2026-06-01")
    own = client.get("/dashboard").text
    assert "note sample" not in own
    assert 'href="/dashboard?sample=1"' in own
    sample = client.get("/dashboard?sample=1").text
    assert "note sample" in sample
    assert 'href="/dashboard">To the station' in sample
    made_up = client.get(f"{DATA}?sample=1&days=7").get_json()
    assert sum(row[1] for row in made_up["rows"]) > 7
    assert client.get(DATA).get_json()["rows"] == [["2026-06-01", 1]]
    assert cli.invoke(args=["demo", "remove"]).exit_code == 0
    assert client.get(f"{DATA}?sample=1").status_code == 400
    assert "sample=1" not in client.get("/dashboard").text


def test_without_the_library_it_says_how_to_get_it(app: Flask, tmp_path: Path) -> None:
    app.static_folder = str(tmp_path)
    page = app.test_client().get("/dashboard").text
    assert 'id="no-library"' in page
    assert "vendor/chart.js" not in page


def test_a_database_that_fails_is_said_in_the_charts(app: Flask, database: Database) -> None:
    client = app.test_client()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tallies")
    assert client.get("/dashboard").status_code == 200
    answered: Any = client.get(DATA)
    assert answered.status_code == 500
    assert answered.get_json()["error"].startswith("Database failed")
