from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from moodflix.store import answers, logs
from tests.conftest import MakeApp


def wrap(message_type: str, payload: Any, **more: Any) -> dict[str, Any]:
    return {
        "protocol": "MFNP",
        "version": 1.0,
        "sender": "client",
        "message_type": message_type,
        "payload": payload,
    } | more


def unwrap(answered: TestResponse, message_type: str, status: int) -> Any:
    assert answered.status_code == status, answered.text
    body = answered.get_json()
    assert body.keys() == {"protocol", "version", "sender", "message_type", "payload"}
    assert (body["protocol"], body["version"], body["sender"]) == ("MFNP", 1.0, "server")
    assert body["message_type"] == message_type
    assert answered.headers["Access-Control-Allow-Origin"] == "*"
    return body["payload"]


@pytest.mark.parametrize("version", [1, 1.0, "1", "1.0"])
def test_it_answers_an_envelope_in_one(client: FlaskClient, version: Any) -> None:
    body = wrap("inference", {"mood": "sad", "limit": 3}, version=version)
    payload = unwrap(client.post("/inference", json=body), "inference", 200)
    assert payload["mood"] == "sad"
    assert len(payload["movies"]) == 3


def test_a_log_in_an_envelope_is_saved_as_a_bare_one_is(client: FlaskClient) -> None:
    choice = {"movieTitle": "Minari", "env": {"temperature": 22.50}}
    saved = client.post("/inference/log", json=wrap("inference-log", choice))
    assert unwrap(saved, "success", 200) == {"status": "ok", "message": "log saved"}
    assert client.post("/inference/log", json=choice).get_json()["status"] == "ok"
    first, second = client.get("/inference/log").get_json()
    assert first == second


def test_a_bare_body_is_answered_bare(client: FlaskClient) -> None:
    for path, body in (("/inference", {}), ("/inference/log", {"movieTitle": "x"})):
        assert "protocol" not in client.post(path, json=body).get_json()
    # What one request came in says nothing about the next.
    client.post("/inference", json=wrap("inference", {}))
    assert "movies" in client.post("/inference", json={}).get_json()


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/inference", wrap("inference", {}, protocol="HTTP"), "protocol"),
        ("/inference", wrap("inference", {}, protocol=None), "protocol"),
        ("/inference", wrap("inference", {}, version=2), "version"),
        ("/inference", wrap("inference", {}, version=0.9), "version"),
        ("/inference", wrap("inference", {}, version="one"), "version"),
        ("/inference", wrap("inference", {}, version=None), "version"),
        ("/inference", wrap("greeting", {}), "message_type"),
        ("/inference", wrap("inference-log", {}), "message_type"),
        ("/inference/log", wrap("inference", {"movieTitle": "x"}), "message_type"),
        ("/inference", wrap("inference", []), "payload"),
        ("/inference", wrap("inference", None), "payload"),
        ("/inference", wrap("inference", {"limit": 0}), "limit"),
        ("/inference", wrap("inference", {"mood": "\0"}), "payload.mood"),
        ("/inference", wrap("inference", {"limit": float("inf")}), "payload.limit"),
        ("/inference/log", wrap("inference-log", {"movieTitle": []}), "movieTitle"),
    ],
)
def test_an_envelope_that_does_not_fit_is_answered_in_one(
    client: FlaskClient, path: str, body: Any, field: str
) -> None:
    payload = unwrap(client.post(path, json=body), "error", 400)
    assert payload["reason"]
    assert [each["field"] for each in payload["details"]] == [field]
    assert client.get("/inference/log").get_json() == []


def test_a_missing_title_is_a_reason(client: FlaskClient) -> None:
    answered = client.post("/inference/log", json=wrap("inference-log", {}))
    assert unwrap(answered, "error", 400) == {"reason": "movieTitle is required"}


def test_what_is_missing_of_an_envelope_is_named(client: FlaskClient) -> None:
    payload = unwrap(client.post("/inference", json={"protocol": "MFNP"}), "error", 400)
    assert [each["field"] for each in payload["details"]] == ["message_type", "payload"]


def test_failures_are_answered_in_an_envelope(
    client: FlaskClient, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = make_app(llm="ollama").test_client()
    failed = unwrap(required.post("/inference", json=wrap("inference", {})), "error", 500)
    assert failed["reason"].startswith("Ollama failed: ")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(answers, "record", fail)
    monkeypatch.setattr(logs, "add", fail)
    for answered in (
        client.post("/inference", json=wrap("inference", {})),
        client.post("/inference/log", json=wrap("inference-log", {"movieTitle": "x"})),
    ):
        payload = unwrap(answered, "error", 500)
        assert payload == {"reason": "Internal server error", "id": payload["id"]}


def test_the_log_is_read_in_an_envelope_where_that_is_set(make_app: MakeApp) -> None:
    client = make_app(log_envelope=True).test_client()
    assert client.post("/inference/log", json={"movieTitle": "x"}).get_json()["status"] == "ok"
    [row] = unwrap(client.get("/inference/log?limit=5"), "inference-log", 200)
    assert row["movieTitle"] == "x"
    payload = unwrap(client.get("/inference/log?limit=0"), "error", 400)
    assert payload["details"][0]["field"] == "limit"


def test_the_variable_of_that_setting_is_read(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODFLIX_LOG_ENVELOPE", "0")
    assert make_app().test_client().get("/inference/log").get_json() == []
    monkeypatch.setenv("MOODFLIX_LOG_ENVELOPE", "1")
    assert unwrap(make_app().test_client().get("/inference/log"), "inference-log", 200) == []
