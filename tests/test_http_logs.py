from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from moodflix.store.database import Database
from moodflix.store.models import Answer, LogEntry

SAVED = {"status": "ok", "message": "log saved"}
COLUMNS = (
    "clientSentAt city lat lon today_status tomorrow_status weekday weather_desc temperature mood "
    "tone movie_title"
).split()
EXAMPLE = {
    "clientSentAt": "2025-10-01T12:00:00Z",
    "movieTitle": "The Matrix",
    "mood": "nostalgic",
    "tone": "calm",
    "env": {
        "temperature": "22",
        "lat": "37.123",
        "lon": "-122.123",
        "city": "San Francisco",
        "weather_desc": "clear",
        "today_status": "work",
        "tomorrow_status": "holiday",
        "weekday": "Wednesday",
    },
}


def save(client: FlaskClient, body: Any) -> None:
    answered = client.post("/inference/log", json=body)
    assert (answered.status_code, answered.get_json()) == (200, SAVED), answered.text


def read(client: FlaskClient, query: str = "") -> list[dict[str, str]]:
    answered = client.get(f"/inference/log{query}")
    assert answered.status_code == 200
    rows = answered.get_json()
    assert isinstance(rows, list)
    return rows


def test_the_documented_example_comes_back_as_it_was_sent(client: FlaskClient) -> None:
    save(client, EXAMPLE)
    env = EXAMPLE["env"]
    assert isinstance(env, dict)
    assert read(client) == [
        env
        | {
            "clientSentAt": "2025-10-01T12:00:00Z",
            "mood": "nostalgic",
            "tone": "calm",
            "movie_title": "The Matrix",
            "movieTitle": "The Matrix",
        }
    ]


def test_the_columns_come_in_their_documented_order(client: FlaskClient) -> None:
    save(client, EXAMPLE)
    [row] = json.loads(client.get("/inference/log").data)
    assert list(row) == [*COLUMNS, "movieTitle"]


def test_an_empty_log_is_an_empty_array(client: FlaskClient) -> None:
    assert client.get("/inference/log").data.strip() == b"[]"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("22", "22"),
        ("22.50", "22.50"),
        ("1e2", "1e2"),
        ("-0", "-0"),
        ("true", "true"),
        ("null", ""),
        ('"22"', "22"),
        ('" 22 "', " 22 "),
        ('"laoading"', "laoading"),
        ('"\\u2028, \\"\\n"', '\u2028, "\n'),
        ("12345678901234567890", "12345678901234567890"),
    ],
)
def test_values_are_kept_as_the_text_that_was_sent(
    client: FlaskClient, sent: str, kept: str
) -> None:
    body = (
        f'{{"movieTitle": "x", "mood": {sent}, "clientSentAt": {sent}, "env": {{"lat": {sent}}}}}'
    )
    assert client.post("/inference/log", data=body).get_json() == SAVED
    [row] = read(client)
    assert (row["mood"], row["clientSentAt"], row["lat"]) == (kept, kept, kept)


@pytest.mark.parametrize("name", ["env", "environment"])
def test_the_environment_of_a_log_goes_by_two_names(client: FlaskClient, name: str) -> None:
    save(client, {"movieTitle": "x", name: {"city": "Seoul"}})
    assert read(client)[0]["city"] == "Seoul"


@pytest.mark.parametrize("more", [{}, {"env": None}, {"env": {}}, {"mood": None, "tone": None}])
def test_a_title_is_enough(client: FlaskClient, more: dict[str, Any]) -> None:
    save(client, {"movieTitle": "x"} | more)
    wanted = dict.fromkeys([*COLUMNS, "movieTitle"], "") | {"movieTitle": "x", "movie_title": "x"}
    assert read(client) == [wanted]


@pytest.mark.parametrize(
    "title", ['"""Mother"""', "  Mother ", "기생충", "=cmd()", "x" * 300, "🎬"]
)
def test_a_title_is_kept_as_it_was_sent(client: FlaskClient, title: str) -> None:
    save(client, {"movieTitle": title})
    assert read(client)[0]["movieTitle"] == title


@pytest.mark.parametrize(
    "body", [{}, {"movieTitle": None}, {"movieTitle": ""}, {"movieTitle": " "}]
)
def test_it_wants_a_title(client: FlaskClient, body: Any) -> None:
    answered = client.post("/inference/log", json=body)
    assert answered.status_code == 400
    assert answered.get_json() == {"error": "movieTitle is required"}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"movieTitle": "x" * 301}, "movieTitle"),
        ({"movieTitle": ["x"]}, "movieTitle"),
        ({"mood": "x" * 201}, "mood"),
        ({"tone": {}}, "tone"),
        ({"clientSentAt": "x" * 201}, "clientSentAt"),
        ({"env": {"city": "x" * 201}}, "env.city"),
        ({"env": {"lat": [1]}}, "env.lat"),
        ({"env": "rain"}, "env"),
        ({"inferenceId": []}, "inferenceId"),
    ],
)
def test_what_cannot_be_taken_is_named_and_nothing_is_half_saved(
    client: FlaskClient, more: dict[str, Any], field: str
) -> None:
    answered = client.post("/inference/log", json=EXAMPLE | more)
    assert answered.status_code == 400
    [problem] = answered.get_json()["details"]
    assert problem["field"] == field
    assert "LoggedEnvironment" not in answered.text
    assert read(client) == []


def test_texts_up_to_the_bound_are_taken(client: FlaskClient) -> None:
    save(client, {"movieTitle": "x", "mood": "m" * 200, "env": {"city": "c" * 200}})
    assert read(client)[0]["city"] == "c" * 200


def test_the_newest_are_read_oldest_first(client: FlaskClient) -> None:
    for place in range(60):
        # When a client says it was sent changes nothing about the order.
        save(client, {"movieTitle": f"{place}", "clientSentAt": f"{2060 - place}-01-01T00:00:00Z"})
    every = [str(place) for place in range(60)]
    for query, count in (
        ("", 50),
        ("?limit=", 50),
        ("?limit=%20", 50),
        ("?limit=1", 1),
        ("?limit=7", 7),
        ("?limit=10000", 60),
        ("?other=1", 50),
    ):
        assert [row["movieTitle"] for row in read(client, query)] == every[-count:], query


def test_it_lists_what_anybody_changed_since(client: FlaskClient, instance: Path) -> None:
    def listed() -> list[tuple[str, str]]:
        rows = client.get("/inference/log").get_json()
        return [(row["movieTitle"], row["mood"]) for row in rows]

    with closing(sqlite3.connect(instance / "moodflix.sqlite3", isolation_level=None)) as other:
        assert listed() == []
        for title in ("Mother", "Paterson"):
            client.post("/inference/log", json={"movieTitle": title, "mood": "sad"})
            assert listed()[-1:] == listed()[-1:] == [(title, "sad")]
        other.execute("UPDATE logs SET mood = 'calm' WHERE movie_title = 'Mother'")
        assert listed() == [("Mother", "calm"), ("Paterson", "sad")]
        other.execute("DELETE FROM logs WHERE movie_title = 'Paterson'")
        assert listed() == [("Mother", "calm")]
        client.post("/inference/log", json={"movieTitle": "Tampopo"})
        assert listed() == [("Mother", "calm"), ("Tampopo", "")]


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "many", "1.5", "1e2", "NaN", "9" * 5000])
def test_it_refuses_other_limits(client: FlaskClient, limit: str) -> None:
    answered = client.get(f"/inference/log?limit={limit}")
    assert answered.status_code == 400
    body = answered.get_json()
    assert [each["field"] for each in body["details"]] == ["limit"]
    assert limit not in body["error"].split()


def links(database: Database) -> list[str | None]:
    with database.read() as session:
        return list(session.scalars(select(LogEntry.answer_id).order_by(LogEntry.id)))


def ask(client: FlaskClient) -> tuple[str, str]:
    got = client.post("/inference", json={"mood": "sad", "limit": 1}).get_json()
    return got["inferenceId"], got["movies"][0]


def age(database: Database, answer: str, minutes: int) -> None:
    past = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    with database.write() as session:
        session.execute(update(Answer).where(Answer.id == answer).values(answered_at=past))


def test_a_choice_belongs_to_the_newest_answer_that_listed_it(
    client: FlaskClient, database: Database
) -> None:
    older, film = ask(client)
    newer, again = ask(client)
    assert film == again
    age(database, older, 2)
    save(client, {"movieTitle": f'"{film.upper()}"'})
    client.post("/inference", json={"exclude": [film]})
    save(client, {"movieTitle": film})
    assert links(database) == [newer, newer]


def test_an_answer_named_wins_over_a_newer_one(client: FlaskClient, database: Database) -> None:
    older, film = ask(client)
    newer, _ = ask(client)
    age(database, older, 45)
    save(client, {"movieTitle": film, "inferenceId": older})
    save(client, {"movieTitle": film, "inferenceId": "no-such-answer"})
    save(client, {"movieTitle": film, "inferenceId": None})
    assert links(database) == [older, newer, newer]


def test_an_older_answer_or_another_film_links_nothing(
    client: FlaskClient, database: Database
) -> None:
    answer, film = ask(client)
    save(client, {"movieTitle": "A Film Nobody Listed"})
    age(database, answer, 31)
    save(client, {"movieTitle": film})
    age(database, answer, 29)
    save(client, {"movieTitle": film})
    assert links(database) == [None, None, answer]


def test_a_log_needs_no_answer_before_it(client: FlaskClient, database: Database) -> None:
    save(client, {"movieTitle": "The Matrix"})
    assert links(database) == [None]
