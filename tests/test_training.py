from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from moodflix import migrating
from moodflix.db import Database
from moodflix.inference import Station
from moodflix.recommend.context_model import ContextModel, ContextRecommender
from moodflix.training import Trainer
from tests.server import PATIENCE

MakeApp = Callable[..., Flask]


def settle() -> None:
    """Wait for all learning that has begun: `refresh` starts its thread before it returns."""
    for thread in threading.enumerate():
        if thread.name == "trainer":
            thread.join(PATIENCE)
            assert not thread.is_alive()


def choose(client: FlaskClient, title: str, mood: str = "sad") -> None:
    assert (
        client.post("/inference/log", json={"movieTitle": title, "mood": mood}).status_code == 200
    )
    settle()


def learned(app: Flask) -> ContextModel:
    station: Station = app.extensions["moodflix.station"]
    return station.context.model


def test_it_learns_after_retrain_rows_choices_and_not_before(make_app: MakeApp) -> None:
    app = make_app(retrain_rows=5)
    client = app.test_client()
    assert learned(app).rows == 0
    # The first choice after a start finds nothing learned yet.
    choose(client, "Film 0")
    assert learned(app).rows == 1
    seen = []
    for place in range(1, 12):
        choose(client, f"Film {place}")
        seen.append(learned(app).rows)
    assert seen == [1, 1, 1, 1, 6, 6, 6, 6, 6, 11, 11]


def test_what_was_chosen_is_recommended_and_counted_in_readyz(make_app: MakeApp) -> None:
    app = make_app(retrain_rows=1)
    client = app.test_client()
    assert client.get("/readyz").get_json()["recommenders"]["context"]["status"] == "empty"
    for _ in range(30):
        choose(client, "A Film Of Ours")
    context = client.get("/readyz").get_json()["recommenders"]["context"]
    assert context == {"status": "up", "detail": "learned from 30 choices"}
    picks = client.post("/inference", json={"mood": "sad"}).get_json()["picks"]
    [ours] = [pick for pick in picks if pick["title"] == "A Film Of Ours"]
    assert ours["sources"] == {"context": 1}


def test_moods_chosen_by_hand_turn_the_list(make_app: MakeApp) -> None:
    app = make_app(retrain_rows=1)
    client = app.test_client()
    for _ in range(20):
        choose(client, "Our Blue Film", mood="sad")
        choose(client, "Our Red Film", mood="angry")
    for mood, first in (("sad", "Our Blue Film"), ("angry", "Our Red Film")):
        picks = client.post("/inference", json={"mood": mood}).get_json()["picks"]
        ranks = {pick["title"]: pick["sources"].get("context") for pick in picks}
        assert ranks[first] == 1


def test_learning_holds_no_log_up(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, let_go = threading.Event(), threading.Event()
    fit = ContextModel.fit

    def slow(
        self: ContextModel, contexts: Sequence[Mapping[str, str]], chosen: Sequence[str]
    ) -> ContextModel:
        begun.set()
        assert let_go.wait(PATIENCE)
        return fit(self, contexts, chosen)

    monkeypatch.setattr(ContextModel, "fit", slow)
    app = make_app(retrain_rows=1)
    client = app.test_client()
    try:
        for place in range(3):
            sent = client.post("/inference/log", json={"movieTitle": f"Film {place}"})
            assert sent.status_code == 200
            assert begun.wait(PATIENCE)
        assert len(client.get("/inference/log").get_json()) == 3
        assert learned(app).rows == 0
    finally:
        let_go.set()
        settle()
    assert learned(app).rows == 1


def test_two_at_once_is_one(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    begun, let_go = threading.Event(), threading.Event()

    def slow(self: ContextModel, contexts: object, chosen: object) -> ContextModel:
        fits.append(1)
        begun.set()
        assert let_go.wait(PATIENCE)
        return self

    monkeypatch.setattr(ContextModel, "fit", slow)
    trainer = Trainer(database, ContextRecommender(), retrain_rows=1)
    trainer.refresh()
    try:
        assert begun.wait(PATIENCE)
        # Returns at once, or the test never gets past it.
        trainer.learn()
        trainer.learn()
    finally:
        let_go.set()
        settle()
    assert fits == [1]
    trainer.learn()
    assert fits == [1, 1]


def test_an_unreadable_database_is_a_warning_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "missing"
    database = Database(f"sqlite:///{folder}/moodflix.sqlite3")
    recommender = ContextRecommender()
    trainer = Trainer(database, recommender, retrain_rows=1)
    with caplog.at_level(logging.INFO, "moodflix.training"):
        trainer.refresh()
        trainer.learn()
        settle()
    said = [(record.levelname, record.message.split(":")[0]) for record in caplog.records]
    assert said == [
        ("WARNING", "the context model can't see new choices"),
        ("WARNING", "the context model did not learn"),
    ]
    assert all("can't be opened" in record.message for record in caplog.records)
    caplog.clear()
    migrating.upgrade(database)
    with caplog.at_level(logging.INFO, "moodflix.training"):
        trainer.refresh()
        settle()
    database.engine.dispose()
    assert [record.message for record in caplog.records] == ["the context model learned 0 choices"]


def test_a_damaged_database_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "moodflix.sqlite3").write_bytes(b"not a database at all " * 500)
    database = Database(f"sqlite:///{tmp_path}/moodflix.sqlite3")
    trainer = Trainer(database, ContextRecommender(), retrain_rows=1)
    trainer.learn()
    trainer.refresh()
    database.engine.dispose()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert all("damaged" in record.message for record in caplog.records)
