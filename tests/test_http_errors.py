from __future__ import annotations

import json
import logging
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import DatabaseError

from moodflix.errors import RecommenderError
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.store import answers, logs
from moodflix.store.database import Database
from tests.conftest import MakeApp

POSTS = ("/inference", "/inference/reading", "/inference/log")
TOO_LONG = 16 * 1024 * 1024 + 1
SECRET = "SELECT secret FROM /home/somebody/moodflix.sqlite3"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"x"',
        b"null",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"movieTitle": "x"}',
        b'{"movieTitle": "\xc3\x28"}',
        b'{"movieTitle": "x", "\\ud800": 1}',
        b'{"movieTitle": "x", "a": NaN}',
        b'{"movieTitle": "x", "a": [-Infinity]}',
        b'{"movieTitle": "x", "mood": 1e999}',
        b'{"movieTitle": "x", "mood": %s}' % (b"9" * 5000),
        b'{"movieTitle": "x", "mood": %s}' % (b"[" * 100 + b"]" * 100),
        b"[" * 60_000,
    ],
)
def test_what_is_not_json_is_invalid_json(client: FlaskClient, path: str, body: bytes) -> None:
    answered = client.post(path, data=body, content_type="application/json")
    assert answered.status_code == 400
    assert answered.get_json()["error"] == "Invalid JSON"
    assert client.get("/inference/log").get_json() == []


@pytest.mark.parametrize("path", POSTS)
def test_a_broken_body_has_the_documented_answer(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=b"{").get_json() == {"error": "Invalid JSON"}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud83c", "\\udf89\\ud83c"])
def test_text_that_cannot_be_stored_is_refused(client: FlaskClient, path: str, text: str) -> None:
    # Each path takes one of the two, and looks at no other.
    body = f'{{"movieTitle": "{text}", "movies": ["{text}"]}}'
    field = "movieTitle" if path.endswith("/log") else "movies.0"
    answered = client.post(path, data=body)
    assert answered.status_code == 400
    assert answered.get_json()["details"][0]["field"] == field
    assert client.get("/inference/log").get_json() == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_is_json_whatever_its_content_type(client: FlaskClient, content_type: str) -> None:
    saved = client.post(
        "/inference/log", data=b'{"movieTitle": "x"}', headers={"Content-Type": content_type}
    )
    assert saved.get_json() == {"status": "ok", "message": "log saved"}
    asked = client.post("/inference", data=b"{}", headers={"Content-Type": content_type})
    assert asked.get_json()["movies"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        {"movieTitle": "x", "mood": ["zebra-crossing"]},
        {"movieTitle": "x", "mood": "zebra-crossing" * 20},
        {"movieTitle": "x", "mood": {"zebra-crossing": 1}},
        {"movieTitle": "x", "tone": {"zebra-crossing\0": 1}},
        {"movieTitle": "x", "mood": "zebra-crossing\0"},
        {"protocol": "zebra-crossing", "version": "zebra-crossing"},
        {"protocol": "MFNP", "message_type": "zebra-crossing", "payload": "zebra-crossing"},
    ],
)
def test_a_400_never_echoes_what_came_in(client: FlaskClient, path: str, body: Any) -> None:
    answered = client.post(path, json=body)
    assert answered.status_code == 400
    assert "zebra" not in answered.text
    assert "zebra" not in str(answered.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/inference"),
        ("GET", "/inference/"),
        ("GET", "/nowhere"),
        ("POST", "/nowhere"),
        ("PUT", "/nowhere"),
        ("GET", "//inference/log"),
        ("GET", "/inference//log"),
        ("POST", "/Inference"),
        ("GET", "/inference/log/1"),
        ("GET", "/%00"),
        ("GET", "/%ff%fe"),
    ],
)
def test_an_unknown_path_is_an_unknown_endpoint(
    client: FlaskClient, method: str, path: str
) -> None:
    answered = client.open(path, method=method, data=b"{}")
    assert answered.status_code == 404
    assert answered.get_json() == {"error": "Unknown endpoint"}
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/inference", "/nowhere"])
def test_head_of_an_unknown_endpoint_is_404(client: FlaskClient, path: str) -> None:
    answered = client.head(path)
    assert answered.status_code == 404
    assert answered.data == b""


def test_a_trailing_slash_is_served_without_a_redirect(client: FlaskClient) -> None:
    assert client.post("/inference/", json={}).get_json()["movies"]
    assert client.post("/inference/log/", json={"movieTitle": "x"}).status_code == 200
    assert len(client.get("/inference/log/?limit=1").get_json()) == 1
    assert client.options("/inference/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/inference", {"POST", "OPTIONS"}),
        ("PATCH", "/inference", {"POST", "OPTIONS"}),
        ("DELETE", "/inference/log", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/readyz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_other_methods_are_405_and_name_the_allowed_ones(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    answered = client.open(path, method=method)
    assert answered.status_code == 405
    assert answered.get_json() == {"error": "Method Not Allowed"}
    assert set(answered.headers["Allow"].split(", ")) == allowed
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", POSTS)
def test_a_body_past_16_mib_is_413(client: FlaskClient, path: str) -> None:
    answered = client.post(path, data=b" " * TOO_LONG)
    assert answered.status_code == 413
    assert answered.get_json() == {"error": "Request Entity Too Large"}
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


def test_a_body_of_16_mib_is_read(client: FlaskClient) -> None:
    media = "A" * (TOO_LONG - 1 - len('{"audio":""}'))
    body = f'{{"audio":"{media}"}}'
    assert client.post("/inference/reading", data=body).status_code == 200


@pytest.mark.parametrize("origin", [None, "http://localhost:5173", "null"])
def test_any_origin_may_read_any_answer(client: FlaskClient, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answered = [
        client.post("/inference", json={}, headers=headers),
        client.post("/inference/log", json={"movieTitle": "x"}, headers=headers),
        client.get("/inference/log", headers=headers),
        client.get("/inference/log?limit=0", headers=headers),
        client.post("/inference/log", json={}, headers=headers),
        client.get("/healthz", headers=headers),
        client.get("/readyz", headers=headers),
    ]
    assert [each.status_code for each in answered] == [200, 200, 200, 400, 400, 200, 200]
    for each in answered:
        assert each.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert each.mimetype == "application/json"


@pytest.mark.parametrize("path", [*POSTS, "/inference/", "/healthz"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost:5173"},
        {
            "Origin": "http://localhost:5173",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    ],
)
def test_options_allows_what_front_ends_need(
    client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answered = client.options(path, headers=headers)
    assert answered.status_code == 200
    assert answered.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    methods = answered.headers["Access-Control-Allow-Methods"].split(", ")
    assert sorted(methods) == ["GET", "OPTIONS", "POST"]
    allowed = answered.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert sorted(allowed) == ["authorization", "content-type", "idempotency-key"]


def test_an_unexpected_failure_is_an_id_whose_traceback_is_in_the_log(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(logs, "recent", fail)
    monkeypatch.setattr(logs, "add", fail)
    monkeypatch.setattr(answers, "record", fail)
    for answered in (
        client.get("/inference/log"),
        client.post("/inference/log", json={"movieTitle": "x"}),
        client.post("/inference", json={}),
    ):
        assert answered.status_code == 500
        body = answered.get_json()
        assert body == {"error": "Internal server error", "id": body["id"]}
        assert re.fullmatch("[0-9a-f]{32}", body["id"])
        assert answered.headers["X-Request-ID"] == body["id"]
        assert answered.headers["Access-Control-Allow-Origin"] == "*"
        [record] = [each for each in caplog.records if body["id"] in each.message and each.exc_info]
        written = logging.Formatter().format(record)
        assert "Traceback" in written
        assert SECRET in written


def test_sql_and_paths_of_a_database_failure_stay_in_the_log(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseError(SECRET, (), sqlite3.DatabaseError("out of cheese"))

    monkeypatch.setattr(logs, "recent", fail)
    answered = client.get("/inference/log")
    assert answered.status_code == 500
    assert answered.get_json() == {"error": "Database failed: the database failed"}
    assert SECRET in caplog.text


def spoil(instance: Path, how: str) -> None:
    path = instance / "moodflix.sqlite3"
    for each in instance.iterdir():
        if each != path or how == "gone":
            each.unlink()
    if how == "gone":
        instance.rmdir()
    else:
        # In place: another file under its name is another fault.
        path.write_bytes(b"This is no database. " * 1000 if how == "damaged" else b"")


REASONS = {
    "damaged": "Database failed: the database file is damaged",
    "gone": "Database failed: the database file is gone; put it back, or restore a backup and "
    "start the station again",
    "empty": "Database failed: the database is not migrated; run: flask db upgrade",
}


@pytest.mark.parametrize("how", REASONS)
def test_a_database_failure_has_a_clear_reason(
    client: FlaskClient, database: Database, instance: Path, how: str
) -> None:
    assert client.post("/inference", json={}).status_code == 200
    database.engine.dispose()
    spoil(instance, how)
    for answered in (
        client.post("/inference/log", json={"movieTitle": "x"}),
        client.get("/inference/log"),
    ):
        assert answered.status_code == 500
        assert answered.get_json() == {"error": REASONS[how]}
        assert str(instance) not in answered.text
    asked = client.post("/inference", json={})
    assert asked.status_code == 200
    got = asked.get_json()
    assert len(got["movies"]) == 10
    assert got["inferenceId"] is None
    [warning] = got["warnings"]
    assert warning.startswith("this answer was not stored: ")


def test_no_film_at_all_is_a_500_that_says_why(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RecommenderError("it has no films")

    monkeypatch.setattr(Catalogue, "rank", fail)
    answered = client.post("/inference", json={})
    assert answered.status_code == 500
    assert answered.get_json() == {
        "error": "Recommendation failed: no film to recommend; catalogue: it has no films"
    }


def test_a_required_llm_that_fails_is_the_documented_500(make_app: MakeApp) -> None:
    answered = make_app(llm="ollama").test_client().post("/inference", json={})
    assert answered.status_code == 500
    body = json.loads(answered.data)
    assert body.keys() == {"error"}
    assert body["error"].startswith("Ollama failed: ")
    assert answered.headers["Access-Control-Allow-Origin"] == "*"
