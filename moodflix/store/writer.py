"""How writes are committed: those of several threads together, or later, from a queue."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from moodflix.errors import DatabaseBusyError

logger = logging.getLogger(__name__)
Work = Callable[[Session], object]
#: The size of the queue; a recommendation takes some 10 kB.
MAX_PENDING = 500
# ``submit`` waits for the write lock this long.
_ATTEMPT_SECONDS = 0.5
# How long a process that is ending goes on trying.
_EXIT_SECONDS = 15.0


@dataclass(eq=False)
class _Commit:
    """The write that one thread waits for; ``error`` is why it was not committed."""

    work: Work
    end: float
    done: bool = False
    error: Exception | None = None


class GroupCommit:
    """The first thread commits the writes of all that wait; later ones form the next batch."""

    def __init__(self, run: Callable[[Sequence[Work], float], None]) -> None:
        """Use ``run``, which commits all or none, or raises DatabaseBusyError after the seconds."""
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
            self._leading.acquire()  # it is being committed, so the result is known soon
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
                    self._commit([each])  # one that fails must not fail the others
                return
            batch[0].error = error
        for each in batch:
            each.done = True


@dataclass(eq=False)
class _Write:
    """One write in the queue; ``error`` is why it was not committed."""

    work: Work
    done: bool = False
    abandoned: bool = False
    error: Exception | None = None


class DeferredWrites:
    """A bounded queue of writes; its thread runs only while there are any.

    It is no daemon thread, so a process that is ending waits for it, for a limited time.
    """

    def __init__(self, run: Callable[[Work, float], object]) -> None:
        """Use ``run``, which commits a write or raises DatabaseBusyError after the seconds."""
        self.dropped = 0
        self._run = run
        self._changed = threading.Condition()
        self._pending: deque[_Write] = deque()
        self._thread: threading.Thread | None = None
        self._is_blocked = False

    def __len__(self) -> int:
        """Return how many writes wait."""
        return len(self._pending)

    def submit(self, work: Work) -> None:
        """Queue `work`; return once it is committed, or the database turns out to be locked.

        Raises:
            DatabaseBusyError: too many writes wait.
            Exception: whatever ``work`` or its commit raised.
        """
        write = _Write(work)
        with self._changed:
            if len(self._pending) >= MAX_PENDING:
                self.dropped += 1
                raise DatabaseBusyError(
                    f"the database is busy and {MAX_PENDING} answers wait for it; "
                    f"{self.dropped} were not stored so far"
                )
            self._pending.append(write)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._commit_all, name="deferred-writes")
                self._thread.start()
            self._changed.wait_for(lambda: write.done or self._is_blocked)
            write.abandoned = not write.done
        if write.error:
            raise write.error

    def flush(self, seconds: float) -> None:
        """Wait until everything is committed that was submitted before.

        Raises:
            DatabaseBusyError: it took longer.
        """
        with self._changed:
            last = self._pending[-1] if self._pending else None
            if last and not self._changed.wait_for(lambda: last.done, seconds):
                raise DatabaseBusyError

    def _commit_all(self) -> None:
        ends = None
        while write := self._next():
            try:
                self._run(write.work, _ATTEMPT_SECONDS)
            except DatabaseBusyError as error:
                if ends is None and not threading.main_thread().is_alive():
                    ends = time.monotonic() + _EXIT_SECONDS
                if ends is None or time.monotonic() < ends:
                    self._set_blocked()
                    continue
                write.error = error
            except Exception as error:  # noqa: BLE001 - handed over to whoever waits for it
                write.error = error
            self._finish(write)

    def _next(self) -> _Write | None:
        with self._changed:
            if not self._pending:
                self._thread = None
                return None
            return self._pending[0]

    def _set_blocked(self) -> None:
        with self._changed:
            self._is_blocked = True
            self._changed.notify_all()

    def _finish(self, write: _Write) -> None:
        with self._changed:
            if write.error and write.abandoned:
                self.dropped += 1
                logger.warning("%d answers were not stored: %s", self.dropped, write.error)
            write.done = True
            self._is_blocked = False
            self._pending.popleft()
            self._changed.notify_all()
