"""The queue of writes, on a database that is locked as long as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from moodflix.errors import DatabaseBusyError, DatabaseUnavailableError
from moodflix.store.writer import Work, Writer
from tests.server import PATIENCE, await_condition


class LockedDatabase:
    """Commits once it is unlocked; ``batches`` has what was committed together."""

    def __init__(self) -> None:
        self.unlocked = threading.Event()
        self.batches: list[list[str]] = []
        self.fault: BaseException | None = None
        self.writer = Writer(self._run)

    def _run(self, works: Sequence[Work], seconds: float) -> None:
        if not self.unlocked.is_set():
            self.unlocked.wait(seconds)
            raise DatabaseBusyError
        if self.fault:
            raise self.fault
        batch: Any = []
        for work in works:
            work(batch)
        self.batches.append(batch)

    def await_queue(self, length: int) -> None:
        await_condition(
            lambda: len(self.writer._queue) == length,  # noqa: SLF001 - not seen from outside
            f"{length} writes in the queue",
        )


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockedDatabase]:
    monkeypatch.setattr("moodflix.store.writer._ATTEMPT_SECONDS", 0.01)
    database = LockedDatabase()
    yield database
    database.unlocked.set()
    database.writer.flush(PATIENCE)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def noting(name: str) -> Callable[[Any], None]:
    return lambda batch: batch.append(name)


def test_an_answer_does_not_wait_for_a_choice_that_waits_for_the_lock(
    locked: LockedDatabase, pool: ThreadPoolExecutor
) -> None:
    choice = pool.submit(locked.writer.commit, noting("choice"), PATIENCE)
    locked.await_queue(1)
    locked.writer.submit(noting("answer"))
    later = pool.submit(locked.writer.commit, noting("later choice"), PATIENCE)
    locked.await_queue(3)
    locked.writer.submit(noting("later answer"))
    assert not choice.done()
    assert len(locked.writer) == 2
    locked.unlocked.set()
    choice.result()
    later.result()
    locked.writer.flush(PATIENCE)
    assert locked.batches == [["choice", "answer", "later choice", "later answer"]]


def test_each_waits_as_long_as_it_may(locked: LockedDatabase, pool: ThreadPoolExecutor) -> None:
    patient = pool.submit(locked.writer.commit, noting("patient"), PATIENCE)
    locked.await_queue(1)
    with pytest.raises(DatabaseBusyError):
        locked.writer.commit(noting("impatient"), 0.02)
    with pytest.raises(DatabaseBusyError):
        locked.writer.commit(noting("very impatient"), 0)
    locked.unlocked.set()
    patient.result()
    assert locked.batches == [["patient"]]


def test_a_thread_that_is_interrupted_leaves_nobody_waiting(
    locked: LockedDatabase, pool: ThreadPoolExecutor
) -> None:
    sent: list[Future[None]] = [
        pool.submit(locked.writer.commit, noting(f"{place}"), PATIENCE) for place in range(3)
    ]
    locked.await_queue(3)
    locked.writer.submit(noting("answer"))
    locked.fault = KeyboardInterrupt()
    locked.unlocked.set()
    errors = [each.exception() for each in sent]
    locked.writer.flush(PATIENCE)
    assert {type(each) for each in errors} <= {KeyboardInterrupt, DatabaseUnavailableError}
    assert locked.batches == []
    assert locked.writer.dropped == 1
    locked.fault = None
    locked.writer.commit(noting("next"), PATIENCE)
    assert locked.batches == [["next"]]


def test_a_backlog_is_committed_in_batches(
    locked: LockedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodflix.store.writer._MAX_BATCH", 3)
    for place in range(7):
        locked.writer.submit(noting(f"{place}"))
    locked.unlocked.set()
    locked.writer.flush(PATIENCE)
    assert locked.batches == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
