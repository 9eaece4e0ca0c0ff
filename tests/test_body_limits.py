"""Bodies that are made to cost much: refused before anything looks at a value."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from flask.testing import FlaskClient

from moodflix.perception.base64_media import decode
from moodflix.web.exchange import MAX_FIELD_BYTES

MANY = 300_000
FRAME = base64.b64encode(b"\xff\xd8\xff" + bytes(2_000_000)).decode()


@pytest.mark.parametrize(
    "body",
    [
        '{"a":' + "[" * 7_000_000 + "]" * 7_000_000 + "}",
        '{"movies":[' + ",".join(['"x"'] * 3_000_000) + "]}",
        '{"seed":' + "1" * 14_000_000 + "}",
        '{"' + '":1,"'.join(map(str, range(MANY))) + '":1}',
        json.dumps({"images": [FRAME], "movies": ["x" * 300] * MANY}),
    ],
    ids=["nested", "titles", "digits", "names", "titles beside a frame"],
)
def test_a_question_with_more_than_64_kib_beside_its_media_is_413(
    client: FlaskClient, body: str
) -> None:
    answered = client.post("/inference", data=body, content_type="text/plain")
    assert answered.status_code == 413
    assert answered.get_json() == {"error": "Request Entity Too Large"}


@pytest.mark.parametrize("path", ["/inference/log", "/inference/feedback"])
def test_a_choice_or_verdict_ends_at_64_kib(client: FlaskClient, path: str) -> None:
    body = json.dumps({"movieTitle": "no " * MANY})
    assert client.post(path, data=body, content_type="text/plain").status_code == 413
    fitting = json.dumps({"movieTitle": "Mother", "foo": "x" * 60_000})
    assert len(fitting) < MAX_FIELD_BYTES
    assert client.post(path, data=fitting).status_code in {200, 400}


@pytest.mark.parametrize("field", ["temperature", "lat", "city", "weather_desc", "weekday"])
@pytest.mark.parametrize("text", ["1" + " " * MANY + "x", "1" * MANY, "\u00b0" * MANY + "x"])
def test_an_endless_value_of_the_evening_counts_as_unknown(
    client: FlaskClient, field: str, text: str
) -> None:
    answered = client.post("/inference", json={"environment": {field: text}, "seed": 1})
    assert answered.status_code == 200
    [warning] = answered.get_json()["warnings"]
    assert warning.startswith(f"environment.{field}: ")


def test_endless_words_are_refused(client: FlaskClient) -> None:
    answered = client.post("/inference", json={"text": "no " * MANY})
    assert answered.status_code == 400
    assert answered.get_json()["details"][0]["field"] == "text"


def test_large_frames_and_clips_pass(client: FlaskClient) -> None:
    """Escaped slashes, as PHP writes them, and data URLs included."""
    frames = [FRAME, f"data:image/jpeg;base64,{FRAME}", FRAME.replace("A", "/")]
    body = json.dumps({"images": frames, "audio": FRAME}).replace("/", "\\/")
    assert client.post("/inference/reading", data=body).status_code == 200


def test_a_compressed_body_is_415(client: FlaskClient) -> None:
    packed = gzip.compress(json.dumps({"movieTitle": "Mother"}).encode())
    answered = client.post("/inference/log", data=packed, headers={"Content-Encoding": "gzip"})
    assert answered.status_code == 415
    assert answered.get_json() == {"error": "Unsupported Media Type"}


def test_an_enveloped_choice_ends_at_64_kib(client: FlaskClient) -> None:
    body = {"protocol": "MFNP", "message_type": "inference-log", "payload": {"a": "b" * MANY}}
    assert client.post("/inference/log", json=body).status_code == 413


def test_a_data_url_of_blanks_is_no_base64() -> None:
    with pytest.raises(ValueError, match="base64"):
        decode("data:" + ";" * 200 + " " * 14_000_000)
