"""What the tests of learning share."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from moodflix.errors import MoodflixError
from moodflix.instance import Instance
from moodflix.learning import training
from moodflix.learning.files import ModelStore
from moodflix.learning.training import Trainer
from moodflix.recommend.learned.model import ChoiceModel
from moodflix.station import Station
from moodflix.store.database import Database
from tests.server import PATIENCE


class TrainedHere:
    """Stands in for the training process: trains at once, without a new Python's imports."""

    def __init__(self, database: Database, instance: Instance) -> None:
        own = Database(database.engine.url.render_as_string(hide_password=False))
        try:
            number, about = training.train(own, ModelStore(instance.models))
            self.returncode, self._output = 0, about.summary(number)
        except MoodflixError as error:
            self.returncode, self._output = 1, str(error)
        finally:
            own.engine.dispose()

    def poll(self) -> int:
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        return self._output, None

    def terminate(self) -> None:
        """It has ended."""


def train_here(patch: pytest.MonkeyPatch) -> None:
    """Have every trainer of this process train in it."""

    def start(trainer: Any, lock: int) -> None:
        del lock
        trainer._process = TrainedHere(trainer._database, trainer._instance)  # noqa: SLF001

    patch.setattr(Trainer, "_start", start)


def settle() -> None:
    """Wait for all learning that has begun: `refresh` starts its thread before it returns."""
    for thread in threading.enumerate():
        if thread.name == "trainer":
            # The process that it waits for has the lowest priority.
            thread.join(3 * PATIENCE)
            assert not thread.is_alive()


def choose(client: FlaskClient, title: str, **fields: Any) -> None:
    sent = client.post("/inference/log", json={"movieTitle": title, **fields})
    assert sent.status_code == 200


def model_of(app: Flask) -> ChoiceModel:
    station: Station = app.extensions["moodflix.station"]
    return station.learned.model


def trainer_of(app: Flask) -> Trainer:
    trainer: Trainer = app.extensions["moodflix.trainer"]
    return trainer


def context(client: FlaskClient) -> dict[str, str]:
    got: dict[str, str] = client.get("/readyz").get_json()["recommenders"]["context"]
    return got


def fill(app: Flask, choices: int) -> None:
    """Import choices in two moods, each with a film of its own, and let the trainer look."""
    rows = ("2025-10-01,,,,,,,,,sad,,Our Blue Film", "2025-10-01,,,,,,,,,angry,,Our Red Film")
    path = Path(app.instance_path) / "choices.csv"
    path.write_text("\n".join(rows[place % 2] for place in range(choices)))
    done = app.test_cli_runner().invoke(args=["logs", "import", str(path)])
    assert done.exit_code == 0, done.output
    trainer_of(app).refresh()
    settle()


def delete_choices(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM logs")
