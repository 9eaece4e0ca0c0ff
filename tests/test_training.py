from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from moodflix.config import Settings
from moodflix.errors import RecommenderError
from moodflix.instance import Instance
from moodflix.learning.files import ModelInfo, ModelStore
from moodflix.learning.training import Trainer
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.recommend.learned.stored import to_arrays
from moodflix.store import migration
from moodflix.store.database import Database
from tests.conftest import MakeApp
from tests.learning import choose, context, fill, model_of, settle, trainer_of


def test_choices_are_counted_long_before_they_are_learned_from(
    make_app: MakeApp, store: ModelStore
) -> None:
    app = make_app(retrain_rows=1000)
    client = app.test_client()
    assert context(client) == {"status": "empty", "detail": "learned from 0 choices"}
    for place in range(1, 4):
        choose(client, "A Film Of Ours")
        settle()
        assert context(client) == {"status": "up", "detail": f"learned from {place} choices"}
    choose(client, "Another")
    settle()
    assert [film for film, _ in model_of(app).top({}, 5)] == ["A Film Of Ours", "Another"]
    assert store.numbers() == []


@pytest.mark.usefixtures("training_process")
def test_a_process_of_its_own_learns(make_app: MakeApp, store: ModelStore) -> None:
    app = make_app(retrain_rows=3)
    fill(app, 3)
    newest = store.newest()
    assert newest is not None
    assert newest.last_id == 3
    assert model_of(app).rows == 3


def test_it_learns_after_retrain_rows_choices_and_not_before(
    make_app: MakeApp, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodflix.learning.training._PAUSE_FACTOR", 0)
    app = make_app(retrain_rows=4)
    client = app.test_client()
    learned = []
    for place in range(9):
        choose(client, f"Film {place}")
        settle()
        newest = store.newest()
        learned.append(newest.last_id if newest else 0)
    assert learned == [0, 0, 0, 4, 4, 4, 4, 8, 8]
    assert model_of(app).rows == 9


def test_what_is_learned_is_used_by_every_app_and_after_a_restart(
    make_app: MakeApp, store: ModelStore
) -> None:
    app, other = make_app(retrain_rows=120), make_app(retrain_rows=120)
    fill(app, 120)
    assert store.current() == 1
    for each in (app, other, make_app()):
        trainer_of(each).learn()
        assert model_of(each).rows == 120
        for mood, first in (("sad", "Our Blue Film"), ("angry", "Our Red Film")):
            got = each.test_client().post("/inference", json={"mood": mood}).get_json()
            ranks = {pick["title"]: pick["sources"].get("context") for pick in got["picks"]}
            assert ranks[first] == 1
    # Counted on by each, as the next learning is far away.
    choose(other.test_client(), "A Third Film")
    trainer_of(app).learn()
    assert model_of(app).rows == 121


def test_a_learned_model_says_what_it_is(make_app: MakeApp, store: ModelStore) -> None:
    fill(make_app(retrain_rows=100), 100)
    about = store.load(1, arrays=False)[0]
    assert (about.rows, about.first_id, about.last_id) == (100, 1, 100)
    assert about.figures["rows"] > 0
    assert about.figures["hit10"] >= about.figures["popularity_hit10"]
    assert datetime.now(timezone.utc) - about.made_at < timedelta(minutes=5)


def test_learning_rests_ten_times_as_long_as_it_took(make_app: MakeApp, store: ModelStore) -> None:
    choose(make_app(retrain_rows=1000).test_client(), "Mother")
    settle()
    model = ChoiceModel().fit([{}], ["Mother"])
    for seconds, numbers in ((1e9, [1]), (0, [1, 2, 3])):
        about = ModelInfo(rows=1, first_id=1, last_id=1, seconds=seconds, figures={})
        store.use(store.save(about, *to_arrays(model)))
        choose(make_app(retrain_rows=1).test_client(), "Burning")
        settle()
        assert store.numbers() == numbers


def test_old_models_are_replaced_by_the_clock(make_app: MakeApp, store: ModelStore) -> None:
    app = make_app(retrain_rows=1000, retrain_hours=2)
    choose(app.test_client(), "Mother")
    settle()
    model = ChoiceModel().fit([{}], ["Mother"])
    for hours, numbers in ((1, [1]), (3, [1, 2, 3])):
        made_at = datetime.now(timezone.utc) - timedelta(hours=hours)
        about = ModelInfo(rows=1, first_id=1, last_id=1, seconds=0, figures={}, made_at=made_at)
        store.use(store.save(about, *to_arrays(model)))
        choose(app.test_client(), "Burning")
        settle()
        assert store.numbers() == numbers


def test_one_learns_at_a_time_and_counting_goes_on(make_app: MakeApp, store: ModelStore) -> None:
    lock = store.lock()
    assert lock is not None
    app = make_app(retrain_rows=1)
    try:
        for place in range(3):
            choose(app.test_client(), f"Film {place}")
        settle()
        assert (store.numbers(), model_of(app).rows) == ([], 3)
    finally:
        os.close(lock)
    trainer_of(app).refresh()
    settle()
    assert store.numbers() == [1]


@pytest.mark.usefixtures("training_process")
def test_a_trainer_that_fails_says_why_once_and_is_given_time(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(retrain_rows=1)
    monkeypatch.setenv("MOODFLIX_PORT", "eighty")
    for _ in range(3):
        choose(app.test_client(), "Mother")
        settle()
    failed = [each for each in caplog.messages if each.startswith("nothing was learned")]
    wanted = "MOODFLIX_PORT='eighty' is not allowed; it takes: whole number from 1 to 65535"
    assert failed == [f"nothing was learned: {wanted}"]
    assert model_of(app).rows == 3


def test_an_import_is_left_to_the_trainer(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, store: ModelStore
) -> None:
    monkeypatch.setattr("moodflix.learning.training._MAX_NEW_ROWS", 3)
    app = make_app(retrain_rows=6)
    lock = store.lock()
    assert lock is not None
    try:
        for _ in range(3):
            choose(app.test_client(), "Mother")
        settle()
        quiet = make_app(retrain_rows=1000)
        for _ in range(3):
            choose(quiet.test_client(), "Mother")
        settle()
        trainer_of(make_app()).learn()
    finally:
        os.close(lock)
    late = make_app(retrain_rows=6)
    trainer_of(late).learn()
    assert model_of(late).rows == 0
    trainer_of(late).refresh()
    settle()
    assert (store.current(), model_of(late).rows) == (1, 6)


def test_a_stored_model_is_used_while_the_database_is_away(
    make_app: MakeApp, store: ModelStore, instance: Path
) -> None:
    model = ChoiceModel().fit([{}] * 9, ["A Film Of Ours"] * 9)
    store.save(ModelInfo(rows=9, first_id=1, last_id=9, seconds=0, figures={}), *to_arrays(model))
    store.use(1)
    (instance / "moodflix.sqlite3").unlink()
    app = make_app()
    trainer_of(app).learn()
    assert model_of(app).rows == 9
    assert not (instance / "moodflix.sqlite3").exists()


def test_what_else_is_to_learn_is_learned_with_each_model(
    database: Database, store: ModelStore, instance: Path
) -> None:
    calls: list[int] = []

    def also() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise RecommenderError("not yet")

    recommender = LearnedRecommender()
    trainer = Trainer(Settings(), database, recommender, Instance(instance), also)
    for expected in (1, 2, 2):
        trainer.learn()
        assert len(calls) == expected
    model = ChoiceModel().fit([{}], ["A Film Of Ours"])
    store.save(ModelInfo(rows=1, first_id=1, last_id=1, seconds=0, figures={}), *to_arrays(model))
    store.use(1)
    for _ in range(2):
        trainer.learn()
        assert len(calls) == 3


def test_an_unreadable_database_is_one_warning_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path}/moodflix.sqlite3")
    recommender = LearnedRecommender()
    trainer = Trainer(Settings(), database, recommender, Instance(tmp_path))
    for _ in range(3):
        trainer.learn()
    missing = "the learned model can't be kept up to date: the database is missing"
    assert caplog.messages == [missing]
    assert not (tmp_path / "moodflix.sqlite3").exists()
    caplog.clear()
    migration.upgrade(database)
    with caplog.at_level(logging.WARNING):
        trainer.learn()
    database.engine.dispose()
    assert caplog.messages == []


def test_a_damaged_database_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "moodflix.sqlite3").write_bytes(b"not a database at all " * 500)
    database = Database(f"sqlite:///{tmp_path}/moodflix.sqlite3")
    trainer = Trainer(Settings(), database, LearnedRecommender(), Instance(tmp_path))
    trainer.learn()
    trainer.learn()
    database.engine.dispose()
    [warning] = caplog.messages
    assert "damaged" in warning


def test_a_folder_that_cannot_be_written_stops_no_counting(
    make_app: MakeApp, instance: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (instance / "models").write_bytes(b"a file in the way")
    app = make_app(retrain_rows=1)
    for _ in range(3):
        choose(app.test_client(), "Mother")
        settle()
    assert model_of(app).rows == 3
    [warning] = [each for each in caplog.messages if "kept up to date" in each]
    assert "models/ can't be written" in warning
