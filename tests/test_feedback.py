from __future__ import annotations

import string
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update
from werkzeug.test import TestResponse

from moodflix.films import shipped
from moodflix.store.database import Database
from moodflix.store.models import Feedback
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama

ME, YOU = "visitor-1", "VISITOR_2"
SAVED = {"status": "ok", "message": "feedback saved"}
SAD = {"mood": "sad", "seed": 7}
IDS = st.text(string.ascii_letters + string.digits + "-_", min_size=8, max_size=64)


def post(client: FlaskClient, verdict: str, title: str, **more: Any) -> TestResponse:
    body = {"visitor": ME, "movieTitle": title, "verdict": verdict} | more
    return client.post("/inference/feedback", json=body)


def say(client: FlaskClient, verdict: str, title: str, **more: Any) -> None:
    answered = post(client, verdict, title, **more)
    assert (answered.status_code, answered.get_json()) == (200, SAVED), answered.text
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


def ask(client: FlaskClient, visitor: str | None = ME, **more: Any) -> list[str]:
    answered = client.post("/inference", json=SAD | {"visitor": visitor} | more)
    assert answered.status_code == 200, answered.text
    assert answered.get_json()["warnings"] == []
    movies: list[str] = answered.get_json()["movies"]
    return movies


def age(database: Database, by: timedelta) -> None:
    with database.write() as session:
        kept = session.query(Feedback).one()
        session.execute(update(Feedback).values(said_at=kept.said_at - by))


@pytest.fixture
def best(client: FlaskClient) -> str:
    """The film that a sad visitor is recommended first."""
    return ask(client)[0]


@pytest.mark.parametrize("named", [{"exclude": ["기생충"]}, {"movies": ["기생충"]}, {}])
def test_a_film_is_meant_by_any_of_its_names(
    make_app: MakeApp, ollama: FakeOllama, named: dict[str, Any]
) -> None:
    client = make_app(llm="auto").test_client()
    assert "Parasite" in ask(client)
    if not named:
        say(client, "disliked", "기생충")
    assert "Parasite" not in ask(client, **named)
    assert ollama.requests


@pytest.mark.parametrize("verdict", ["not-tonight", "disliked", "loved"])
def test_a_verdict_hides_the_film_from_its_visitor_alone_until_it_is_taken_back(
    client: FlaskClient, best: str, verdict: str
) -> None:
    before = ask(client)
    say(client, verdict, f'"{best.upper()}"')
    assert best not in ask(client)
    assert ask(client, YOU) == ask(client, None) == ask(client, "") == before
    say(client, "none", best, visitor=YOU)
    assert best not in ask(client)
    say(client, "none", best)
    assert ask(client) == before
    say(client, "none", best)


@pytest.mark.parametrize(
    ("verdict", "hours", "hidden"),
    [
        ("not-tonight", 11.9, True),
        ("not-tonight", 12.1, False),
        ("disliked", 1e5, True),
        ("loved", 1e5, True),
    ],
)
def test_it_holds_for_its_time(
    client: FlaskClient,
    database: Database,
    best: str,
    verdict: str,
    hours: float,
    hidden: bool,  # noqa: FBT001 - a parameter
) -> None:
    say(client, verdict, best)
    age(database, timedelta(hours=hours))
    assert (best not in ask(client)) is hidden


def test_the_last_verdict_counts(client: FlaskClient, database: Database, best: str) -> None:
    say(client, "disliked", best)
    say(client, "not-tonight", best)
    age(database, timedelta(hours=13))
    assert best in ask(client)
    say(client, "not-tonight", best)
    assert best not in ask(client)


def test_a_love_raises_films_like_it(client: FlaskClient) -> None:
    def science_fiction(visitor: str) -> int:
        films = [shipped.find(title, None) for title in ask(client, visitor)]
        return sum(film is not None and "sci-fi" in film.genres for film in films)

    before = science_fiction(ME)
    say(client, "disliked", "The Matrix", visitor=YOU)
    say(client, "loved", "The Matrix")
    assert science_fiction(ME) > before
    assert science_fiction(YOU) == before


def test_it_holds_for_the_llm_too(make_app: MakeApp, ollama: FakeOllama) -> None:
    client = make_app(llm="auto").test_client()
    say(client, "disliked", "Paterson")
    say(client, "loved", "Mother")
    answered = client.post("/inference", json={"visitor": ME}).get_json()
    assert answered["primary_llm"] == ["Parasite"]
    assert {"Paterson", "Mother"}.isdisjoint(answered["movies"])
    [asked] = ollama.requests
    assert "Mother" in str(asked)


def test_verdicts_that_cannot_be_read_are_a_warning(
    client: FlaskClient, database: Database, best: str
) -> None:
    with database.write() as session:
        session.execute(text("DROP TABLE feedback"))
    answered = client.post("/inference", json=SAD | {"visitor": ME}).get_json()
    assert answered["movies"][0] == best
    [warning] = answered["warnings"]
    assert warning.startswith("what this visitor said of films is not known: ")
    assert ask(client, None)[0] == best
    failed = post(client, "loved", best)
    assert failed.status_code == 500
    assert failed.get_json()["error"].startswith("Database failed: ")
    assert failed.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"visitor": None}, "visitor"),
        ({"visitor": ""}, "visitor"),
        ({"visitor": "x" * 7}, "visitor"),
        ({"visitor": "x" * 65}, "visitor"),
        ({"visitor": "visitor 1"}, "visitor"),
        ({"visitor": "visitor-1\n"}, "visitor"),
        ({"visitor": "방문자방문자방문자"}, "visitor"),
        ({"visitor": ["visitor-1"]}, "visitor"),
        ({"movieTitle": None}, "movieTitle"),
        ({"movieTitle": " "}, "movieTitle"),
        ({"movieTitle": "x" * 301}, "movieTitle"),
        ({"movieTitle": {}}, "movieTitle"),
        ({"verdict": None}, "verdict"),
        ({"verdict": "LOVED"}, "verdict"),
        ({"verdict": True}, "verdict"),
        ({"inferenceId": []}, "inferenceId"),
    ],
)
def test_it_names_the_field_that_cannot_be_taken(
    client: FlaskClient, more: dict[str, Any], field: str
) -> None:
    body = {"visitor": ME, "movieTitle": "Ran", "verdict": "loved"} | more
    answered = client.post("/inference/feedback", json=body)
    assert answered.status_code == 400
    assert [each["field"] for each in answered.get_json()["details"]] == [field]


def test_what_is_missing_is_named(client: FlaskClient) -> None:
    answered = client.post("/inference/feedback", json={})
    assert answered.status_code == 400
    assert answered.get_json()["details"] == [
        {"field": field, "message": "is required"} for field in ("visitor", "movieTitle", "verdict")
    ]
    assert client.post("/inference/feedback", data="{").get_json() == {"error": "Invalid JSON"}


@pytest.mark.parametrize("visitor", ["short", 1.5, ["visitor-1"], "visitor 1"])
def test_an_inference_takes_no_other_visitor(client: FlaskClient, visitor: Any) -> None:
    answered = client.post("/inference", json={"visitor": visitor})
    assert answered.status_code == 400
    assert [each["field"] for each in answered.get_json()["details"]] == ["visitor"]


@pytest.mark.parametrize(
    ("message_type", "status", "answer"),
    [("inference-feedback", 200, "success"), ("inference-log", 400, "error")],
)
def test_it_answers_an_envelope_in_one(
    client: FlaskClient, message_type: str, status: int, answer: str
) -> None:
    payload = {"visitor": ME, "movieTitle": "Ran", "verdict": "loved"}
    body = {"protocol": "MFNP", "message_type": message_type, "payload": payload}
    answered = client.post("/inference/feedback", json=body)
    assert answered.status_code == status
    assert answered.get_json()["message_type"] == answer


def test_browsers_may_send_it_from_anywhere(client: FlaskClient) -> None:
    asked = client.options("/inference/feedback", headers={"Origin": "http://elsewhere"})
    assert asked.status_code == 200
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert client.get("/inference/feedback").status_code == 404


@given(visitor=IDS, title=st.text(min_size=1, max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_title_is_kept_or_refused_by_name(
    client: FlaskClient, database: Database, visitor: str, title: str
) -> None:
    answered = post(client, "disliked", title, visitor=visitor)
    if answered.status_code == 400:
        assert [each["field"] for each in answered.get_json()["details"]] == ["movieTitle"]
        return
    assert answered.get_json() == SAVED
    with database.read() as session:
        kept = session.get_one(Feedback, (visitor, shipped.key_of(title)))
        assert (kept.title, kept.verdict) == (title, "disliked")
