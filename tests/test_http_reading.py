from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import faces
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama
from tests.perceiving import reader, text
from tests.server import Serve
from tests.test_http_envelope import unwrap, wrap

READING = "/inference/reading"


def frame(who: tuple[int, int, int] = faces.SMILING) -> str:
    return text(faces.frame(who))


@faces.needs_npm
def test_a_frame_is_read_as_inference_reads_it(serve: Serve) -> None:
    served = serve()
    body = {"images": [frame()]}
    answered = served.post(READING, body)
    assert answered.status_code == 200
    got = answered.json()
    assert got.keys() == {"perceived"}
    assert got["perceived"]["mood"]["label"] == "happy"
    assert got["perceived"]["mood"]["source"] == "face"
    assert got["perceived"]["mood"]["confidence"] > 0.5
    process = reader(served)
    assert got["perceived"] == served.post("/inference", body).json()["perceived"]
    # One process reads for both, bounded as it is.
    assert reader(served) == process


@pytest.mark.parametrize(
    ("sent", "missing"), [(None, "not_sent"), ([], "not_sent"), (["AAAA"], "bad_image")]
)
@faces.needs_npm
def test_what_cannot_be_read_says_why(client: FlaskClient, sent: Any, missing: str) -> None:
    answered = client.post(READING, json={"images": sent})
    assert answered.status_code == 200
    assert answered.get_json()["perceived"]["face"]["missing"] == missing
    assert answered.get_json()["perceived"]["mood"]["source"] == "none"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"images": [{}]}, "images.0"),
        ({"images": ["x"] * 65}, "images"),
        ({"audio": {}}, "audio"),
        ({"text": "x" * 2001}, "text"),
    ],
)
def test_what_does_not_fit_is_named(client: FlaskClient, body: Any, field: str) -> None:
    answered = client.post(READING, json=body)
    assert answered.status_code == 400
    assert [each["field"] for each in answered.get_json()["details"]] == [field]
    assert answered.headers["Access-Control-Allow-Origin"] == "*"


def test_it_asks_no_llm_and_stores_nothing(make_app: MakeApp, ollama: FakeOllama) -> None:
    app = make_app(llm="auto")
    database = app.extensions["moodflix.db"]

    def rows() -> list[Any]:
        with database.read() as session:
            return list(session.connection().exec_driver_sql("SELECT id FROM answers"))

    client = app.test_client()
    answered = client.post(READING, json={"text": "what a sad day"})
    assert answered.get_json()["perceived"]["mood"]["label"] == "sad"
    assert ollama.requests == []
    assert rows() == []
    # The look finds what is there.
    client.post("/inference", json={})
    assert len(rows()) == 1


def test_an_envelope_is_answered_in_one(client: FlaskClient) -> None:
    sent = wrap("inference-reading", {"mood": "sad"})
    payload = unwrap(client.post(READING, json=sent), "inference-reading", 200)
    assert payload["perceived"]["mood"]["source"] == "hand"
    refused = unwrap(client.post(READING, json=wrap("inference", {})), "error", 400)
    assert [each["field"] for each in refused["details"]] == ["message_type"]
