"""Trains models from the log, stores them, and keeps each process's model up to date.

A thread of every process counts each choice within seconds. The weights of the counts are fitted
less often, in one separate process at low priority for all workers.
"""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from moodflix.config import Settings, load, variable
from moodflix.errors import DatabaseUnavailableError, MoodflixError, RecommenderError
from moodflix.instance import Instance
from moodflix.learning.files import ModelFileError, ModelInfo, ModelStore, OutdatedModelError
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.store import feedback, logs
from moodflix.store.database import Database
from moodflix.store.models import Training

logger = logging.getLogger(__name__)

_UPDATE_SECONDS: Final = 1.0
# While a training process runs.
_CHECK_SECONDS: Final = 0.2
# More new rows than this are an import, and left to the next training.
_MAX_NEW_ROWS: Final = 20_000
# Pauses: this many times the last training's processor time, or after a failure these seconds.
_PAUSE_FACTOR: Final = 10
_FAILURE_SECONDS: Final = 60.0
_NICENESS: Final = 10

# Of contexts, titles and, unless all are 1, weights.
Batches = Iterable[tuple[Any, ...]]


def train(
    database: Database,
    store: ModelStore,
    progress: Callable[[Batches], Batches] = iter,
    now: datetime | None = None,
) -> tuple[int, ModelInfo]:
    """Train on all choices and verdicts, store and use the model; return its number and figures.

    If it does worse than popularity on held-out rows, popularity is put in use instead.
    ``progress`` wraps the batches as they are read.

    Raises:
        RecommenderError: the log holds no choice.
        DatabaseUnavailableError: the database can't be read.
        ModelFileError: the model can't be stored.
    """
    from moodflix.recommend.learned import stored

    began = time.process_time()
    with database.read() as session:
        first, last = logs.id_range(session)

        def evidence() -> Batches:
            return feedback.evidence(session, logs.choices(session, until=last))

        model = ChoiceModel().fit_stream(progress(evidence()))
        if not model.rows:
            raise RecommenderError("the log holds no choice to learn from")
        below_baseline = is_below_baseline(model.figures)
        fallback = popularity(evidence()) if below_baseline else None
    about = ModelInfo(
        made_at=now or datetime.now(timezone.utc),
        rows=model.rows,
        first_id=first,
        last_id=last,
        seconds=time.process_time() - began,
        figures=model.figures,
        below_baseline=below_baseline,
    )
    number = used = store.save(about, *stored.to_arrays(model))
    if fallback is not None:
        changes = {"figures": fallback.figures, "below_baseline": False, "fallback_for": number}
        used = store.save(about.model_copy(update=changes), *stored.to_arrays(fallback))
    store.use(used)
    try:
        with database.write() as session:
            session.add(as_row(number, about))
    except DatabaseUnavailableError as error:
        logger.warning("the figures of model %d are not kept: %s", number, error)
    return number, about


def as_row(number: int, about: ModelInfo) -> Training:
    """Return the row with the figures of a model, which stays when its file is deleted."""
    figures = about.figures
    return Training(
        number=number,
        made_at=about.made_at,
        rows=about.rows,
        # A row may be held out twice and is then measured twice.
        held_out=min(int(figures["rows"]), about.rows) if figures else None,
        hit10=figures.get("hit10"),
        popularity_hit10=figures.get("popularity_hit10"),
        below_baseline=about.below_baseline,
    )


def popularity(batches: Batches) -> ChoiceModel:
    """Return a model that only counts how often films are chosen, in any context."""
    return ChoiceModel().fit_stream(([{}] * len(batch[1]), *batch[1:]) for batch in batches)


def is_below_baseline(figures: Mapping[str, float]) -> bool:
    """Whether a model did worse than popularity on its held-out rows, beyond noise.

    The noise is the largest standard error of a share measured on that many rows.
    """
    if not figures:
        return False
    lost = [figures[f"popularity_{name}"] - figures[name] for name in ("hit10", "ndcg10")]
    lost.append(figures["log_loss"] - figures["popularity_log_loss"])
    return max(lost) > 0.5 / math.sqrt(max(figures["rows"], 1))


def load_model(store: ModelStore, number: int) -> tuple[ChoiceModel, ModelInfo]:
    """Return a stored model and its metadata.

    Raises:
        ModelFileError: it can't be used; the text says why.
    """
    from moodflix.recommend.learned import stored

    about, arrays, meta = store.load(number)
    try:
        return stored.from_arrays(arrays, meta), about
    except ValueError as error:
        raise store.rejected(number, str(error)) from error


class Trainer:
    """Keeps the model of this process up to date and starts training when it is due."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        recommender: LearnedRecommender,
        instance: Instance,
        on_new_model: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare; nothing starts before ``watch``, ``refresh`` or ``learn``.

        ``on_new_model`` is called once at the start and with each new model.
        """
        self.store = ModelStore(instance.models)
        self.problem = ""  # why the stored model is not used, for `GET /readyz`
        self._instance = instance
        self._settings = settings
        self._database = database
        self._recommender = recommender
        self._on_new_model = on_new_model
        self._is_announced = False  # whether `on_new_model` was called for the model
        self._update_lock = threading.Lock()
        self._thread_lock = threading.Lock()  # guards the next two
        self._update_requested = self._thread_running = False
        self._process: subprocess.Popen[str] | None = None  # the training
        self._not_before = 0.0  # earliest time of the next training
        self._created_at = datetime.now(timezone.utc)
        self._state: object = self  # the store's when last loaded; at first one it never has
        self._newest: ModelInfo | None = None  # of the newest stored model, in use or not
        self._is_outdated = False  # whether the stored model is of an older version
        self._model = ChoiceModel()  # the stored one, with the choices counted since
        self._last_id = 0  # of the newest choice in it
        self._last_error = ""

    def watch(self) -> None:
        """Update the model every second, forever."""
        self._thread_running = True
        while True:
            self.learn()
            time.sleep(_UPDATE_SECONDS)

    def refresh(self) -> None:
        """Update the model in the background until a training in progress ends."""
        with self._thread_lock:
            self._update_requested = True
            if not self._thread_running:
                self._thread_running = True
                threading.Thread(target=self._run, name="trainer", daemon=True).start()

    def learn(self) -> None:
        """Update the model to the newest choice, and start training if it is due."""
        with self._update_lock:
            try:
                self._reap()
                self._load()
                self._start_if_due(self._count_new())
                if not self._is_announced:
                    self._on_new_model()
                self._is_announced, problem = True, ""
            except Exception as error:  # noqa: BLE001 - the thread must go on
                problem = str(error) if isinstance(error, MoodflixError) else repr(error)
            if problem and problem != self._last_error:
                logger.warning("the learned model can't be kept up to date: %s", problem)
            self._last_error = problem

    def close(self) -> None:
        """End the training process, if there is one."""
        with self._update_lock:
            process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate()

    def _run(self) -> None:
        """Update until nothing is requested and no training is in progress."""
        while True:
            with self._thread_lock:
                if not self._update_requested and self._process is None:
                    self._thread_running = False
                    return
                self._update_requested = False
            self.learn()
            if self._process is not None:
                time.sleep(_CHECK_SECONDS)

    def _load(self) -> None:
        """Load the model in use if it changed."""
        state = self.store.state()
        if state == self._state:
            return
        self._state, self._newest = state, self.store.newest()
        seconds = self._newest.seconds if self._newest else 0
        self._not_before = time.monotonic() + _PAUSE_FACTOR * seconds
        self._model, self._last_id, self.problem = ChoiceModel(), 0, ""
        self._is_announced = self._is_outdated = False
        if state is None:
            return
        try:
            self._model, about = load_model(self.store, self.store.current() or 0)
        except OutdatedModelError as error:
            logger.info("%s; a new one is trained", error)
            self._is_outdated = True
        except ModelFileError as error:
            logger.warning("%s", error)
            self.problem = str(error)
        else:
            # At once, as the database may be unavailable.
            self._recommender.model, self._last_id = self._model, about.last_id
            if about.fallback_for is not None:
                self.problem = (
                    f"model {about.fallback_for} does worse than popularity on held-out "
                    "choices, so popularity is used"
                )

    def _count_new(self) -> int:
        """Count new choices, give the model to the recommender, and return the newest one's id."""
        if not self._database.exists():
            raise RecommenderError("the database is missing")
        with self._database.read() as session:
            newest = logs.id_range(session)[1]
            if newest < self._last_id:
                self.problem = "the stored model knows choices that this log doesn't hold"
                self._model, self._last_id = ChoiceModel(), 0
            if self._last_id < newest <= self._last_id + _MAX_NEW_ROWS:
                batches = logs.choices(session, self._last_id, newest)
                if not self._model.rows:
                    self._model = popularity(batches)  # consumes all batches
                for contexts, chosen in batches:
                    self._model = self._model.updated(contexts, chosen)
                self._last_id = newest
        self._recommender.model = self._model
        return newest

    def _start_if_due(self, newest: int) -> None:
        """Start training after enough new choices, or after one if the newest model is old."""
        trained_to = self._newest.last_id if self._newest else 0
        new_choices = newest - trained_to if trained_to <= newest else newest
        made_at = self._newest.made_at if self._newest else self._created_at
        age = (datetime.now(timezone.utc) - made_at) / timedelta(hours=1)
        is_old = self._is_outdated or 0 < self._settings.retrain_hours <= age
        is_due = new_choices >= (1 if is_old else self._settings.retrain_rows)
        if not is_due or self._process is not None or time.monotonic() < self._not_before:
            return
        lock = self.store.lock()
        if lock is None:
            return
        try:
            # Another worker may have trained meanwhile.
            if self.store.state() == self._state:
                self._start(lock)
        finally:
            os.close(lock)

    def _start(self, lock: int) -> None:
        """Start a training process; it inherits the lock, which ends with it."""
        url = self._database.engine.url.render_as_string(hide_password=False)
        variables = {
            variable("database_url"): url,
            variable("instance"): str(self._instance.folder),
        }
        variables |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", __name__],
            env=os.environ | variables,
            pass_fds=(lock,),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _reap(self) -> None:
        """Log the result of a training process that has ended."""
        if self._process is None or self._process.poll() is None:
            return
        output, status = self._process.communicate()[0].strip(), self._process.returncode
        self._process = None
        if status == 0:
            logger.info("%s", output)
        else:
            self._not_before = time.monotonic() + _FAILURE_SECONDS
            logger.warning("nothing was learned: %s", output or f"the trainer ended with {status}")


def main() -> None:
    """Train once at low priority; the entry point of the training process."""
    os.nice(_NICENESS)
    try:
        settings = load()
        store = ModelStore(Instance(settings.instance or Path()).models)
        number, about = train(Database(settings.database_url or ""), store)
    except MoodflixError as error:
        sys.exit(str(error))
    sys.stdout.write(about.summary(number) + "\n")


if __name__ == "__main__":
    main()
