"""Commits writes: those that wait at the same time in one transaction, deferred ones later."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection

from moodflix.errors import DatabaseBusyError, DatabaseUnavailableError

logger = logging.getLogger(__name__)
Work = Callable[[Connection], object]
#: Deferred writes that may wait; a recommendation takes some 10 kB.
MAX_PENDING = 500
# Writes of one transaction.
_MAX_BATCH = 100
# How long one attempt waits for the write lock.
_ATTEMPT_SECONDS = 0.5
# How long a process that is ending goes on trying.
_EXIT_SECONDS = 15.0


@dataclass(eq=False)
class _Write:
    """One write in the queue; ``error`` is why it was not committed."""

    work: Work
    end: float = math.inf
    is_deferred: bool = False
    is_abandoned: bool = False  # its thread waits no longer
    done: bool = False
    error: Exception | None = None


class Writer:
    """A queue of writes; one of the waiting threads commits those of all threads, in order.

    The thread for deferred writes runs only while there are any. It is no daemon thread, so a
    process that is ending waits for it, for a limited time.
    """

    def __init__(self, run: Callable[[Sequence[Work], float], None]) -> None:
        """Commit by ``run(works, seconds)``: all or none; it raises DatabaseBusyError in time."""
        self.dropped = 0
        self._run = run
        self._changed = threading.Condition()
        self._queue: list[_Write] = []
        self._batch: list[_Write] = []  # the part of the queue that is being committed
        self._is_blocked = False  # the database was locked at the last attempt
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Return how many deferred writes wait."""
        return sum(each.is_deferred for each in self._queue)

    def commit(self, work: Work, seconds: float) -> None:
        """Commit ``work``; it may be run more than once, and its last run counts.

        Raises:
            DatabaseBusyError: it was not committed within the seconds.
            Exception: whatever ``work`` or its commit raised.
        """
        write = _Write(work, time.monotonic() + seconds)
        with self._changed:
            self._queue.append(write)
        while batch := self._next_batch(write):
            self._commit(batch)
        if write.error:
            raise write.error

    def submit(self, work: Work) -> None:
        """Queue ``work``; return once it is committed, or the database turns out to be locked.

        Raises:
            DatabaseBusyError: too many writes wait.
            Exception: whatever ``work`` or its commit raised.
        """
        write = _Write(work, is_deferred=True)
        with self._changed:
            if len(self) >= MAX_PENDING:
                self.dropped += 1
                raise DatabaseBusyError(
                    f"the database is busy and {MAX_PENDING} answers wait for it; "
                    f"{self.dropped} were not stored so far"
                )
            self._queue.append(write)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._commit_deferred, name="deferred")
                self._thread.start()
            self._changed.wait_for(lambda: write.done or self._is_blocked)
            write.is_abandoned = not write.done
        if write.error:
            raise write.error

    def flush(self, seconds: float) -> None:
        """Wait until everything is committed that was submitted before.

        Raises:
            DatabaseBusyError: it took longer.
        """
        with self._changed:
            last = next((each for each in reversed(self._queue) if each.is_deferred), None)
            if not self._changed.wait_for(lambda: last not in self._queue, seconds):
                raise DatabaseBusyError

    def _next_batch(self, write: _Write) -> list[_Write]:
        """Wait until a write is done, or until this thread must commit the returned batch.

        Raises:
            DatabaseBusyError: its time is over; it is no longer in the queue.
        """
        with self._changed:
            while not write.done:
                now = time.monotonic()
                if write.end <= now and write not in self._batch:
                    self._queue.remove(write)
                    raise DatabaseBusyError
                if not self._batch:
                    in_time = (each for each in self._queue if each.end > now)
                    self._batch = list(islice(in_time, _MAX_BATCH))
                    return self._batch
                # The result of a write that is being committed is known soon.
                left = None if write in self._batch else write.end - now
                self._changed.wait(None if left == math.inf else left)
            return []

    def _commit(self, batch: Sequence[_Write]) -> None:
        """Commit writes; they stay in the queue if the database is locked."""
        is_blocked = False
        try:
            self._run_batch(batch)
        except DatabaseBusyError:
            is_blocked = True
        except BaseException:
            for each in batch:
                if not each.done:
                    each.error = DatabaseUnavailableError("the write was interrupted")
                    each.done = True
            raise
        finally:
            with self._changed:
                for each in batch:
                    if each.error and each.is_abandoned:
                        self._drop(each.error)
                self._queue = [each for each in self._queue if not each.done]
                self._batch, self._is_blocked = [], is_blocked
                self._changed.notify_all()

    def _run_batch(self, batch: Sequence[_Write]) -> None:
        left = min(each.end for each in batch) - time.monotonic()
        try:
            self._run([each.work for each in batch], max(min(left, _ATTEMPT_SECONDS), 0))
        except DatabaseBusyError:
            raise
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits for it
            if len(batch) > 1:
                for each in batch:
                    self._run_batch([each])  # one that fails must not fail the others
                return
            batch[0].error = error
        for each in batch:
            each.done = True

    def _commit_deferred(self) -> None:
        exit_end = math.inf
        while write := self._oldest_deferred():
            if not threading.main_thread().is_alive():
                exit_end = write.end = min(exit_end, time.monotonic() + _EXIT_SECONDS)
            try:
                if batch := self._next_batch(write):
                    self._commit(batch)
            except DatabaseBusyError as error:
                self._drop(error)

    def _oldest_deferred(self) -> _Write | None:
        with self._changed:
            write = next((each for each in self._queue if each.is_deferred), None)
            if write is None:
                self._thread = None
            return write

    def _drop(self, error: Exception) -> None:
        self.dropped += 1
        logger.warning("%d answers were not stored: %s", self.dropped, error)
