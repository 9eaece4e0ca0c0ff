from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from moodflix import answers
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama

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
    saved = client.post("/inference/log", json={"movieTitle": got["movies"][0], "mood": "sad"})
    assert saved.status_code == 200
    database = kept(instance)
    # The city and the mood word are context, which is kept: the search finds what is there.
    assert b"Jeonju" in database
    assert got["inferenceId"].encode() in database
    assert_private(database)
    assert "POST /inference " in caplog.text
    assert_private(caplog.text.encode())
    assert_private(answered.data)


def test_a_refused_or_failed_request_is_not_logged_either(
    make_app: MakeApp,
    instance: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_app().test_client()
    refused = client.post("/inference", json=BODY | {"limit": 0, "mood": [WORDS]})
    assert refused.status_code == 400

    def fail(*_: object) -> None:
        raise RuntimeError("it broke")

    monkeypatch.setattr(answers, "record", fail)
    failed = client.post("/inference", json=BODY)
    assert failed.status_code == 500
    assert "it broke" in caplog.text
    for where in (caplog.text.encode(), kept(instance), refused.data, failed.data):
        assert_private(where)
