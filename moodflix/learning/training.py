"""Trains models from the log, stores them, and keeps each process's model up to date.

A thread of every process polls and counts each choice within seconds. The weights of the counts are
fitted less often, by one process of its own at low priority for all workers.
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
from moodflix.learning.files import ModelFileError, ModelInfo, ModelStore, OutdatedModelError
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.store import feedback, logs
from moodflix.store.database import Database
from moodflix.store.models import Training

logger = logging.getLogger(__name__)

_POLL: Final = 1.0
_TICK: Final = 0.2
# More new rows than these are an import, and left to the process that trains.
_MAX_NEW_ROWS: Final = 20_000
# Training takes a tenth of one core's time at most, and waits for a minute after it failed.
_REST: Final = 10
_AFTER_FAILURE: Final = 60.0
_NICE: Final = 10

# Of contexts, titles and, if they differ, weights.
Batches = Iterable[tuple[Any, ...]]


def train(
    database: Database,
    store: ModelStore,
    shown: Callable[[Batches], Batches] = iter,
    now: datetime | None = None,
) -> tuple[int, ModelInfo]:
    """Train on all choices and verdicts, store and use the model; return its number and figures.

    One that does worse than popularity on held-out rows is stored too, but popularity is put in
    use. ``shown`` may look at the batches as they are read.

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

        model = ChoiceModel().fit_stream(shown(evidence()))
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
    """Return the row that keeps the figures of a model past its file."""
    figures = about.figures
    return Training(
        number=number,
        made_at=about.made_at,
        rows=about.rows,
        # A row held out twice is measured twice.
        held_out=min(int(figures["rows"]), about.rows) if figures else None,
        hit10=figures.get("hit10"),
        popularity_hit10=figures.get("popularity_hit10"),
        below_baseline=about.below_baseline,
    )


def popularity(batches: Batches) -> ChoiceModel:
    """Return a model that knows how often films are chosen, and nothing of contexts."""
    return ChoiceModel().fit_stream(([{}] * len(batch[1]), *batch[1:]) for batch in batches)


def is_below_baseline(figures: Mapping[str, float]) -> bool:
    """Whether a model did worse than popularity on its held-out rows, beyond noise.

    Noise is the largest standard error that a share measured on so many rows can have.
    """
    if not figures:
        return False
    lost = [figures[f"popularity_{name}"] - figures[name] for name in ("hit10", "ndcg10")]
    lost.append(figures["log_loss"] - figures["popularity_log_loss"])
    return max(lost) > 0.5 / math.sqrt(max(figures["rows"], 1))


def load_model(store: ModelStore, number: int) -> tuple[ChoiceModel, ModelInfo]:
    """Return a stored model and what its file says of it.

    Raises:
        ModelFileError: it can't be used; one line says why.
    """
    from moodflix.recommend.learned import stored

    about, arrays, meta = store.load(number)
    try:
        return stored.from_arrays(arrays, meta), about
    except ValueError as error:
        raise store.rejected(number, str(error)) from error


class Trainer:
    """Keeps the model of this process up to date, and starts training when that is due."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        recommender: LearnedRecommender,
        folder: str,
        also: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare; nothing starts before ``watch``, ``refresh`` or ``learn``.

        ``also`` is called at first and with each new model, to fit what else is fitted.
        """
        self.store = ModelStore(Path(folder) / "models")
        self.problem = ""  # what is wrong with the model in use
        self._folder = folder
        self._settings = settings
        self._database = database
        self._recommender = recommender
        self._also, self._also_due = also, True
        self._learning, self._guard = threading.Lock(), threading.Lock()
        self._again = self._following = False
        self._child: subprocess.Popen[str] | None = None
        self._started = datetime.now(timezone.utc)
        self._not_before = 0.0
        self._state: object = self  # unlike any state of the store
        self._model = ChoiceModel()
        self._counted = 0  # id of the newest row in it
        self._newest: ModelInfo | None = None  # of the newest model, in use or not
        self._is_outdated = False  # the model in use is of an older version
        self._last_error = ""

    def watch(self) -> None:
        """Follow log and store for ever."""
        self._following = True
        while True:
            self.learn()
            time.sleep(_POLL)

    def refresh(self) -> None:
        """Follow them in the background until nothing is new; ``watch`` does so anyway."""
        with self._guard:
            self._again = True
            if not self._following:
                self._following = True
                threading.Thread(target=self._follow, name="trainer", daemon=True).start()

    def learn(self) -> None:
        """Bring the model up to the newest choice, and start training if that is due."""
        with self._learning:
            try:
                self._reap()
                self._load()
                self._start_if_due(self._recount())
                if self._also_due:
                    self._also()
                self._also_due, problem = False, ""
            except Exception as error:  # noqa: BLE001 - the thread must outlive what it can't do
                problem = str(error) if isinstance(error, MoodflixError) else repr(error)
            if problem and problem != self._last_error:
                logger.warning("the context model doesn't follow the log: %s", problem)
            self._last_error = problem

    def close(self) -> None:
        """End the process that trains, if there is one."""
        with self._learning:
            child, self._child = self._child, None
        if child is not None:
            child.terminate()
            child.communicate()

    def _follow(self) -> None:
        while True:
            with self._guard:
                if not self._again and self._child is None:
                    self._following = False
                    return
                self._again = False
            self.learn()
            if self._child is not None:
                time.sleep(_TICK)

    def _load(self) -> None:
        """Take the model that is in use, if another is by now."""
        state = self.store.state()
        if state == self._state:
            return
        self._state, self._newest = state, self.store.newest()
        self._not_before = time.monotonic() + _REST * (self._newest.seconds if self._newest else 0)
        self._model, self._counted, self.problem = ChoiceModel(), 0, ""
        self._also_due, self._is_outdated = True, False
        if state is None:
            return
        try:
            self._model, about = load_model(self.store, self.store.current() or 0)
        except OutdatedModelError as error:
            logger.info("%s; a new one is trained", error)
            self._is_outdated = True
        except ModelFileError as error:
            logger.warning("%s", error)
            self.problem = f"; {error}"
        else:
            # At once: the database may be away, and films are recommended without it.
            self._recommender.model, self._counted = self._model, about.last_id
            if about.fallback_for is not None:
                self.problem = (
                    f"; model {about.fallback_for} does worse than popularity on held-out "
                    "choices, so popularity is used"
                )

    def _recount(self) -> int:
        """Count the rows that are new, hand the model on, and return the newest row's id."""
        if not self._database.exists():
            raise RecommenderError("the database is missing")
        with self._database.read() as session:
            newest = logs.id_range(session)[1]
            if newest < self._counted:
                self.problem = "; the stored model knows choices that this log doesn't hold"
                self._model, self._counted = ChoiceModel(), 0
            if self._counted < newest <= self._counted + _MAX_NEW_ROWS:
                batches = logs.choices(session, self._counted, newest)
                if not self._model.rows:
                    self._model = popularity(batches)  # which leaves no batch for the loop
                for contexts, chosen in batches:
                    self._model = self._model.updated(contexts, chosen)
                self._counted = newest
        self._recommender.model = self._model
        return newest

    def _start_if_due(self, newest: int) -> None:
        known = self._newest.last_id if self._newest else 0
        known = known if known <= newest else 0
        since = self._newest.made_at if self._newest else self._started
        hours, age = self._settings.retrain_hours, datetime.now(timezone.utc) - since
        old = 0 < hours <= age / timedelta(hours=1)
        due = newest - known >= (1 if old or self._is_outdated else self._settings.retrain_rows)
        if not due or self._child is not None or time.monotonic() < self._not_before:
            return
        lock = self.store.lock()
        if lock is None:
            return
        try:
            # Another worker may have trained since we looked.
            if self.store.state() == self._state:
                self._start(lock)
        finally:
            os.close(lock)

    def _start(self, lock: int) -> None:
        """Start a process that trains; the lock is its own, and ends with it."""
        url = self._database.engine.url.render_as_string(hide_password=False)
        variables = {variable("database_url"): url, variable("instance"): self._folder}
        variables |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._child = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", __name__],
            env=os.environ | variables,
            pass_fds=(lock,),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _reap(self) -> None:
        if self._child is None or self._child.poll() is None:
            return
        output, status = self._child.communicate()[0].strip(), self._child.returncode
        self._child = None
        if status == 0:
            logger.info("%s", output)
        else:
            self._not_before = time.monotonic() + _AFTER_FAILURE
            logger.warning("nothing was learned: %s", output or f"the trainer ended with {status}")


def main() -> None:
    """Train once, at low priority, in a process of its own."""
    os.nice(_NICE)
    try:
        settings = load()
        store = ModelStore((settings.instance or Path()) / "models")
        number, about = train(Database(settings.database_url or ""), store)
    except MoodflixError as error:
        sys.exit(str(error))
    sys.stdout.write(about.summary(number) + "\n")


if __name__ == "__main__":
    main()
