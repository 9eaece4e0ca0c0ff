"""A choice that is sent again with the same `Idempotency-Key` is saved once."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.server import Serve
from tests.test_busy_database import locked

SAVED = {"status": "ok", "message": "log saved"}


def send(client: FlaskClient, key: str, **body: object) -> TestResponse:
    choice = {"movieTitle": "Mother", **body}
    return client.post("/inference/log", json=choice, headers={"Idempotency-Key": key})


def saved(client: FlaskClient) -> list[str]:
    return [row["movieTitle"] for row in client.get("/inference/log").get_json()]


def test_a_choice_sent_again_is_saved_once_and_others_each(client: FlaskClient) -> None:
    for _ in range(3):
        assert send(client, "one").get_json() == SAVED
    assert send(client, "two").get_json() == SAVED
    assert send(client, "").get_json() == SAVED
    assert send(client, "").get_json() == SAVED
    assert saved(client) == ["Mother"] * 4


def test_it_is_saved_once_by_all_workers_and_after_a_restart(
    serve: Serve, make_app: MakeApp
) -> None:
    workers = [serve(), serve()]
    headers = {"Idempotency-Key": "one"}

    def post(place: int) -> object:
        http = workers[place % 2].http
        return http.post("/inference/log", json={"movieTitle": "Mother"}, headers=headers).json()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(post, range(24))) == [SAVED] * 24
    for worker in workers:
        worker.stop()
    again = make_app().test_client()
    assert send(again, "one").get_json() == SAVED
    assert saved(again) == ["Mother"]


def test_a_key_of_another_choice_is_refused(client: FlaskClient) -> None:
    send(client, "one")
    refused = send(client, "one", movieTitle="Parasite")
    assert refused.status_code == 400
    assert "used for another choice" in refused.text
    assert saved(client) == ["Mother"]
    enveloped = client.post(
        "/inference/log",
        json={
            "protocol": "MFNP",
            "version": 1.0,
            "sender": "client",
            "message_type": "inference-log",
            "payload": {"movieTitle": "Mother"},
        },
        headers={"Idempotency-Key": "one"},
    )
    assert enveloped.get_json()["payload"] == SAVED
    assert saved(client) == ["Mother"]


@pytest.mark.parametrize("key", ["k" * 256, "k\u00e9"])
def test_a_key_that_is_none_is_refused(client: FlaskClient, key: str) -> None:
    refused = send(client, key)
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.text
    assert saved(client) == []
    assert send(client, "k" * 255).get_json() == SAVED


def test_a_choice_that_was_refused_is_saved_when_sent_again(
    client: FlaskClient, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, locked(instance):
        patch.setattr("moodflix.store.database.COMMIT_SECONDS", 0.2)
        assert send(client, "one").status_code == 500
    assert send(client, "one").get_json() == SAVED
    assert saved(client) == ["Mother"]


def test_a_key_is_kept_for_a_day(
    client: FlaskClient, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(client, "one")
    monkeypatch.setattr("moodflix.store.saved_requests.KEEP", -timedelta(hours=1))
    send(client, "two")
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection:
        assert connection.execute("SELECT key FROM saved_requests").fetchall() == [("two",)]


def test_a_page_of_another_origin_may_send_a_key(client: FlaskClient) -> None:
    allowed = client.options("/inference/log").headers["Access-Control-Allow-Headers"]
    assert "Idempotency-Key" in allowed.split(", ")
