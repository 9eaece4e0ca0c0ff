from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from moodflix.learning.files import ModelInfo, ModelStore
from moodflix.learning.training import is_below_baseline, load_model, train
from moodflix.recommend.learned.model import ChoiceModel
from moodflix.recommend.learned.stored import to_arrays
from moodflix.store.database import Database
from tests.conftest import MakeApp
from tests.learning import choose, context, fill, model_of, settle, trainer_of

OURS = {"hit10": 0.5, "ndcg10": 0.5, "log_loss": 3.0}
FIGURES = {"rows": 400.0, **OURS, **{f"popularity_{name}": OURS[name] for name in OURS}}


@pytest.mark.parametrize(
    ("figures", "worse"),
    [
        ({}, False),
        (FIGURES, False),
        (FIGURES | {"hit10": 0.45}, True),
        (FIGURES | {"ndcg10": 0.45}, True),
        (FIGURES | {"log_loss": 3.05}, True),
        (FIGURES | {"hit10": 0.49, "ndcg10": 0.49, "log_loss": 3.01}, False),
        (FIGURES | {"hit10": 0.45, "rows": 25.0}, False),
    ],
)
def test_worse_than_popularity_is_worse_beyond_noise(
    figures: Mapping[str, float], *, worse: bool
) -> None:
    assert is_below_baseline(figures) == worse


@pytest.fixture
def misled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model do worse than popularity wherever it learns of a mood."""
    fit_stream = ChoiceModel.fit_stream

    def fit(self: ChoiceModel, batches: Iterable[tuple[Any, ...]]) -> ChoiceModel:
        moody = False

        def looked_at() -> Iterator[tuple[Any, ...]]:
            nonlocal moody
            for batch in batches:
                moody |= any(context.get("mood") for context in batch[0])
                yield batch

        model = fit_stream(self, looked_at())
        model.figures = FIGURES | {"hit10": 0.1} if moody else FIGURES
        return model

    monkeypatch.setattr(ChoiceModel, "fit_stream", fit)


def test_a_model_worse_than_popularity_is_kept_but_not_used(
    misled: None, make_app: MakeApp, store: ModelStore, database: Database
) -> None:
    quiet = make_app(retrain_rows=1000)
    fill(quiet, 120)
    choose(quiet.test_client(), "Our Red Film", mood="angry")
    settle()
    number, about = train(database, store)
    assert (number, about.below_baseline, about.fallback_for) == (1, True, None)
    assert store.current() == 2
    assert store.load(2)[0].fallback_for == 1
    app = make_app()
    trainer_of(app).learn()
    assert context(app.test_client()) == {
        "status": "up",
        "detail": "learned from 121 choices; model 1 does worse than popularity on held-out "
        "choices, so popularity is used",
    }
    for mood in ("sad", "angry"):
        assert model_of(app).top({"mood": mood}, 1)[0][0] == "Our Red Film"
    done = app.test_cli_runner().invoke(args=["doctor", "--json"])
    checks = json.loads(done.stdout)["checks"]
    [choices] = [check for check in checks if check["name"] == "choices"]
    assert choices["status"] == "warning"
    assert "model 1 does worse than popularity" in choices["found"]


def test_a_better_model_takes_the_place_of_popularity(
    misled: None, make_app: MakeApp, store: ModelStore, database: Database
) -> None:
    fill(make_app(retrain_rows=1000), 120)
    train(database, store)
    app = make_app()
    trainer_of(app).learn()
    assert "popularity" in trainer_of(app).problem
    better = ChoiceModel().fit([{}] * 50, ["Our Red Film"] * 50)
    about = ModelInfo(rows=50, first_id=1, last_id=120, seconds=0, figures={})
    store.use(store.save(about, *to_arrays(better)))
    trainer_of(app).learn()
    assert (trainer_of(app).problem, model_of(app).rows) == ("", 50)


def test_the_station_goes_on_without_a_model_that_cannot_be_read(
    make_app: MakeApp, store: ModelStore, instance: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(make_app(retrain_rows=1000), 10)
    store.save(
        ModelInfo(rows=1, first_id=1, last_id=10, seconds=0, figures={}),
        *to_arrays(ChoiceModel().fit([{}], ["Mother"])),
    )
    store.use(1)
    (instance / "models" / "000001.npz").write_bytes(b"PK\x03\x04 no more")
    app = make_app(retrain_rows=1000)
    for _ in range(3):
        trainer_of(app).learn()
    line = "models/000001.npz is refused: damaged, or no model of this station"
    assert [each for each in caplog.messages if "refused" in each] == [line]
    assert context(app.test_client())["detail"] == f"learned from 10 choices; {line}"
    assert app.test_client().post("/inference", json={"mood": "sad"}).status_code == 200


def test_a_model_of_an_older_version_is_replaced_without_a_word(
    make_app: MakeApp, store: ModelStore, caplog: pytest.LogCaptureFixture
) -> None:
    fill(make_app(retrain_rows=1000), 120)
    old = ModelInfo(format=1, rows=120, first_id=1, last_id=120, seconds=1e9, figures={})
    store.use(store.save(old, *to_arrays(ChoiceModel().fit([{}], ["Mother"]))))
    app = make_app(retrain_rows=1000)
    [choices] = [
        check
        for check in json.loads(app.test_cli_runner().invoke(args=["doctor", "--json"]).stdout)[
            "checks"
        ]
        if check["name"] == "choices"
    ]
    assert choices["status"] == "ok"
    trainer_of(app).refresh()
    settle()
    assert (store.numbers(), store.current()) == ([1, 2], 2)
    assert context(app.test_client()) == {"status": "up", "detail": "learned from 120 choices"}
    for mood, first in (("sad", "Our Blue Film"), ("angry", "Our Red Film")):
        assert model_of(app).top({"mood": mood}, 1)[0][0] == first
    # What is logged below that depends on the levels that a server has set.
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_a_file_whose_arrays_make_no_model_is_refused(
    make_app: MakeApp, store: ModelStore, caplog: pytest.LogCaptureFixture
) -> None:
    arrays, meta = to_arrays(ChoiceModel().fit([{}], ["Mother"]))
    arrays.pop(min(arrays))
    store.save(ModelInfo(rows=1, first_id=1, last_id=1, seconds=0, figures={}), arrays, meta)
    store.use(1)
    trainer_of(make_app()).learn()
    assert [each for each in caplog.messages if each.startswith("models/000001.npz is refused")]


def test_a_model_of_another_log_is_not_used(make_app: MakeApp, store: ModelStore) -> None:
    model = ChoiceModel().fit([{}] * 9, ["A Film Of Theirs"] * 9)
    store.save(ModelInfo(rows=9, first_id=1, last_id=9, seconds=0, figures={}), *to_arrays(model))
    store.use(1)
    app = make_app(retrain_rows=2)
    trainer_of(app).learn()
    assert model_of(app).rows == 0
    for _ in range(2):
        choose(app.test_client(), "A Film Of Ours")
    settle()
    assert store.current() == 2
    assert [film for film, _ in model_of(app).top({}, 5)] == ["A Film Of Ours"]
    assert trainer_of(app).problem == ""


def test_a_rollback_outlives_a_restart(make_app: MakeApp, store: ModelStore) -> None:
    app = make_app(retrain_rows=1000)
    for rows in (1, 2):
        choose(app.test_client(), "Mother")
        settle()
        done = app.test_cli_runner().invoke(args=["model", "train"])
        assert done.exit_code == 0, done.output
        assert store.current() == rows
    assert app.test_cli_runner().invoke(args=["model", "rollback"]).exit_code == 0
    restarted = make_app(retrain_rows=1000)
    trainer_of(restarted).learn()
    assert store.current() == 1
    # The older model, counted on.
    assert model_of(restarted).rows == 2
    assert load_model(store, 1)[0].rows == 1
