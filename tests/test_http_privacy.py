from __future__ import annotations

import base64
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moodflix.store import answers
from tests import faces, voices
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama
from tests.perceiving import end_reader, text
from tests.server import Serve

WORDS = "Yesterday my zebra Ottokar left me and I feel lonely"
FRAME = base64.b64encode(b"\xff\xd8\xff\xe0" + b"a face that nobody may keep" * 20).decode()
CLIP = base64.b64encode(b"\x1aE\xdf\xa3" + b"a voice that nobody may keep" * 20).decode()
BODY = {
    "text": WORDS,
    "images": [FRAME, f"data:image/jpeg;base64,{FRAME}"],
    "audio": CLIP,
    "environment": {"city": "Jeonju", "weather_desc": "drizzle"},
}


def kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def assert_private(where: bytes) -> None:
    for trace in (WORDS, "Ottokar", FRAME[8:60], CLIP[8:60]):
        assert trace.encode() not in where
    for raw in (b"a face that", b"a voice that"):
        assert raw not in where


def test_nothing_a_person_shows_or_says_is_kept_or_logged(
    make_app: MakeApp, ollama: FakeOllama, instance: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_app(llm="auto").test_client()
    answered = client.post("/inference", json=BODY)
    assert answered.status_code == 200
    assert len(ollama.requests) == 1
    got = answered.get_json()
    assert got["mood"] == "sad"
    read = client.post("/inference/reading", json=BODY)
    assert read.get_json()["perceived"]["mood"]["label"] == "sad"
    saved = client.post("/inference/log", json={"movieTitle": got["movies"][0], "mood": "sad"})
    assert saved.status_code == 200
    database = kept(instance)
    # The city and the mood word are context, which is kept: the search finds what is there.
    assert b"Jeonju" in database
    assert got["inferenceId"].encode() in database
    assert_private(database)
    assert "POST /inference " in caplog.text
    assert "POST /inference/reading " in caplog.text
    assert_private(caplog.text.encode())
    assert_private(answered.data)
    assert_private(read.data)


def test_a_refused_or_failed_request_is_not_logged_either(
    make_app: MakeApp,
    instance: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_app().test_client()
    wrong = BODY | {"limit": 0, "mood": [WORDS]}
    refused = client.post("/inference", json=wrong)
    assert refused.status_code == 400
    assert client.post("/inference/reading", json=wrong).status_code == 400

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("it broke")

    monkeypatch.setattr(answers, "record", fail)
    failed = client.post("/inference", json=BODY)
    assert failed.status_code == 500
    assert "it broke" in caplog.text
    for where in (caplog.text.encode(), kept(instance), refused.data, failed.data):
        assert_private(where)


def numbers(value: Any) -> Iterator[float]:
    """The fractions in a JSON object."""
    for each in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from [each] if isinstance(each, float) and each % 1 else numbers(each)


@faces.needs_npm
def test_nothing_that_was_read_of_a_person_is_kept_or_logged(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is written in passing would be found as well, by the process that reads, too.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    end_reader()
    served = serve(log_format="json")
    frame, broken = faces.frame(faces.SMILING), faces.frame(faces.CALM)[:9_000]
    clip = voices.recorded("chrome", voices.speech(voices.LIVELY))
    body = BODY | {"images": [text(frame)] * 8 + [text(broken)], "audio": text(clip)}
    got = served.post("/inference", body).json()
    seen = got["perceived"]
    assert (seen["mood"]["label"], seen["mood"]["source"]) == ("happy", "face")
    for accept in ("application/json", "text/event-stream"):
        again = served.http.post("/inference", json=body, headers={"Accept": accept})
        assert again.status_code == 200
    assert served.post("/inference/reading", body).json() == {"perceived": seen}
    saved = served.post("/inference/log", {"movieTitle": got["movies"][0], "mood": "happy"})
    assert saved.status_code == 200
    served.stop()
    end_reader()
    disk = kept(tmp_path)
    # The search finds what is there: the words for mood, tone and where they came from, the log.
    for stored in (b"happy", b"face", b"Jeonju", b"POST /inference", got["inferenceId"].encode()):
        assert stored in disk
    assert_private(disk)
    for sent in (frame, broken, clip):
        middle = slice(len(sent) // 2, len(sent) // 2 + 48)
        assert sent[middle] not in disk
        assert text(sent)[100:160].encode() not in disk
    for name in (b"scores", b"confidence", b"arousal", b"voiced", b"no_face", b"frames"):
        assert name not in disk
    scores = {score for name in ("words", "face", "voice") for score in numbers(seen[name])}
    assert len(scores) > 10
    for score in scores:
        assert struct.pack(">d", score) not in disk
