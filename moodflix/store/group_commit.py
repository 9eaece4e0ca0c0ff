"""Writes of several threads in one transaction, so that they share its cost and its sync."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from moodflix.errors import DatabaseBusyError

Work = Callable[[Session], object]


@dataclass(eq=False)
class _Commit:
    """What one thread waits for; ``error`` says why it was not committed."""

    work: Work
    end: float
    done: bool = False
    error: Exception | None = None


class GroupCommit:
    """Whoever comes first commits what all wait for; those who come meanwhile are next."""

    def __init__(self, run: Callable[[Sequence[Work], float], None]) -> None:
        """Take what commits all or nothing, or raises DatabaseBusyError after so many seconds."""
        self._run = run
        self._leading = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: list[_Commit] = []

    def commit(self, work: Work, seconds: float) -> None:
        """Commit ``work``; it may be run more than once, and its last run counts.

        Raises:
            DatabaseBusyError: it was not committed within the seconds.
            Exception: whatever ``work`` or its commit raised.
        """
        mine = _Commit(work, time.monotonic() + seconds)
        with self._guard:
            self._waiting.append(mine)
        if not self._leading.acquire(timeout=max(seconds, 0)):
            self._withdraw(mine)
            self._leading.acquire()  # it is being committed: what becomes of it is known soon
        try:
            if not mine.done:
                with self._guard:
                    batch, self._waiting = self._waiting, []
                self._commit(batch)
        finally:
            self._leading.release()
        if mine.error:
            raise mine.error

    def _withdraw(self, mine: _Commit) -> None:
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
                raise DatabaseBusyError

    def _commit(self, batch: Sequence[_Commit]) -> None:
        try:
            left = min(each.end for each in batch) - time.monotonic()
            self._run([each.work for each in batch], left)
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits for it
            if len(batch) > 1:
                for each in batch:
                    self._commit([each])  # one's fault is not the others'
                return
            batch[0].error = error
        for each in batch:
            each.done = True
