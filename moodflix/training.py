"""When the context model learns: in the background, off the request path."""

from __future__ import annotations

import logging
import threading

from moodflix import logbook
from moodflix.db import Database
from moodflix.errors import DatabaseUnavailableError
from moodflix.recommend.context_model import MAX_ROWS, ContextModel, ContextRecommender

logger = logging.getLogger(__name__)


class Trainer:
    """Learns the newest choices and hands the model to the recommender of this process."""

    def __init__(
        self, database: Database, recommender: ContextRecommender, retrain_rows: int
    ) -> None:
        """Prepare; nothing starts before the first ``refresh``."""
        self._database = database
        self._recommender = recommender
        self._retrain_rows = retrain_rows
        self._learned_up_to = -retrain_rows
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Start learning in a background thread if enough choices are new; return at once."""
        try:
            with self._database.read() as session:
                due = logbook.newest_id(session) - self._learned_up_to >= self._retrain_rows
        except DatabaseUnavailableError as error:
            logger.warning("the context model can't see new choices: %s", error)
            return
        if due:
            threading.Thread(target=self.learn, name="trainer", daemon=True).start()

    def learn(self) -> None:
        """Learn the newest choices now, unless another thread is at it."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            with self._database.read() as session:
                newest = logbook.newest_id(session)
                rows = list(logbook.choices(session, MAX_ROWS))
            model = ContextModel().fit([context for context, _ in rows], [to for _, to in rows])
            self._recommender.model = model
            self._learned_up_to = newest
            logger.info("the context model learned %d choices", model.rows)
        except DatabaseUnavailableError as error:
            logger.warning("the context model did not learn: %s", error)
        finally:
            self._lock.release()
