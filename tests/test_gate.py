from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from moodflix.errors import LlmBusyError, LlmError
from moodflix.recommend.answer import Queued, Waiting
from moodflix.recommend.llm.limits import Breaker, Deadline, Queue
from tests.server import await_condition

LONG = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused_for(breaker: Breaker) -> int:
    """The seconds after which a refused call may come back."""
    with pytest.raises(LlmBusyError) as refused:
        breaker.check()
    return refused.value.retry_after


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(trial=breaker.check())


def test_the_breaker_opens_after_failures_in_a_row(clock: Clock) -> None:
    breaker = Breaker(3, clock)
    fail(breaker, 2)
    breaker.check()
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state() == "closed"
    fail(breaker)
    assert breaker.state() == "open, tries again in 5 s"
    with pytest.raises(LlmBusyError, match="skipped after 3 failures in a row; try again in 5 s"):
        breaker.check()
    clock.now += 2.5
    assert refused_for(breaker) == 3
    assert breaker.state() == "open, tries again in 3 s"


def test_a_half_open_breaker_lets_one_call_through(clock: Clock) -> None:
    breaker = Breaker(1, clock)
    fail(breaker)
    clock.now += 5
    assert breaker.state() == "half-open"
    assert breaker.check()
    assert refused_for(breaker) == 1
    breaker.succeeded()
    assert breaker.state() == "closed"
    assert not breaker.check()
    assert not breaker.check()


def test_each_failed_trial_doubles_the_pause_up_to_the_longest(clock: Clock) -> None:
    breaker = Breaker(2, clock)
    fail(breaker, 2)
    pauses = []
    for _ in range(9):
        pauses.append(refused_for(breaker))
        clock.now += pauses[-1]
        fail(breaker)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_success_closes_the_breaker_and_forgets_its_pauses(clock: Clock) -> None:
    breaker = Breaker(2, clock)
    fail(breaker, 2)
    clock.now += 5
    fail(breaker)
    assert refused_for(breaker) == 10
    clock.now += 10
    breaker.check()
    breaker.succeeded()
    fail(breaker)
    assert breaker.state() == "closed"
    fail(breaker)
    assert refused_for(breaker) == 5


def test_a_breaker_of_0_never_opens(clock: Clock) -> None:
    breaker = Breaker(0, clock)
    fail(breaker, 100)
    assert breaker.state() == "closed"
    assert not breaker.check()


def test_a_call_that_was_given_up_tells_nothing(clock: Clock) -> None:
    breaker = Breaker(2, clock)
    fail(breaker)
    breaker.abandoned(trial=breaker.check())
    assert breaker.state() == "closed"
    fail(breaker)
    clock.now += 5
    breaker.abandoned(trial=breaker.check())
    # Neither closed nor open for longer: the next call may try.
    assert breaker.state() == "half-open"
    assert breaker.check()


def test_calls_from_before_it_opened_leave_the_trial_alone(clock: Clock) -> None:
    breaker = Breaker(1, clock)
    old = [breaker.check() for _ in range(3)]
    assert old == [False] * 3
    breaker.failed(trial=False)
    breaker.failed(trial=False)
    assert refused_for(breaker) == 5
    clock.now += 5
    assert breaker.check()
    breaker.failed(trial=False)
    assert refused_for(breaker) == 1
    breaker.abandoned(trial=False)
    assert refused_for(breaker) == 1
    breaker.succeeded()
    assert breaker.state() == "closed"


class Caller:
    """One who waits in the queue and holds the place until `done`, or leaves the line."""

    def __init__(self, queue: Queue, deadline: Deadline | None = None) -> None:
        self.deadline = deadline or Deadline(LONG)
        self.told: list[int] = []
        self.leaves = threading.Event()
        self.done = threading.Event()
        self.holds = threading.Event()
        self._queue = queue

    def __call__(self) -> None:
        with self._queue.join(self.deadline) as waiting:
            for event in waiting:
                if isinstance(event, Queued):
                    self.told.append(event.position)
                elif self.leaves.is_set():
                    return
            self.holds.set()
            assert self.done.wait(LONG)

    def must_hold(self) -> None:
        assert self.holds.wait(LONG)


Start = Callable[..., tuple[Caller, "Future[None]"]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a caller in a thread of its own; at the end all are let go."""
    callers: list[Caller] = []
    with ThreadPoolExecutor(16) as threads:

        def begin(queue: Queue, deadline: Deadline | None = None) -> tuple[Caller, Future[None]]:
            caller = Caller(queue, deadline)
            callers.append(caller)
            return caller, threads.submit(caller)

        yield begin
        for caller in callers:
            caller.done.set()


def in_line(start: Start, queue: Queue, places: int) -> list[tuple[Caller, Future[None]]]:
    """Start callers that wait, each known to stand behind the one before."""
    found = []
    for place in range(1, places + 1):
        caller, future = start(queue)
        await_condition(lambda told=caller.told, at=place: told == [at], f"place {place}")  # type: ignore[misc]
        found.append((caller, future))
    return found


def test_calls_are_served_in_order_of_arrival_and_told_their_places(start: Start) -> None:
    queue = Queue(parallel=1, waiting=3)
    holder, ended = start(queue)
    holder.must_hold()
    line = in_line(start, queue, 3)
    for place, (caller, following) in enumerate(line):
        assert not any(each.holds.is_set() for each, _ in line[place:])
        holder.done.set()
        ended.result(LONG)
        caller.must_hold()
        holder, ended = caller, following
        for behind, (each, _) in enumerate(line[place + 1 :], start=1):
            await_condition(lambda each=each, behind=behind: each.told[-1] == behind, "its place")  # type: ignore[misc]
    holder.done.set()
    ended.result(LONG)
    assert [caller.told for caller, _ in line] == [[1], [2, 1], [3, 2, 1]]


def test_as_many_run_at_once_as_allowed_and_one_who_waits_not_at_all_is_told_nothing(
    start: Start,
) -> None:
    queue = Queue(parallel=2, waiting=1)
    running = [start(queue)[0] for _ in range(2)]
    for caller in running:
        caller.must_hold()
        assert caller.told == []
    [(third, _)] = in_line(start, queue, 1)
    assert not third.holds.is_set()
    running[1].done.set()
    third.must_hold()
    assert not running[0].done.is_set()


@pytest.mark.parametrize("waiting", [0, 2])
def test_past_its_bound_a_queue_turns_away_at_once(start: Start, waiting: int) -> None:
    queue = Queue(parallel=1, waiting=waiting)
    holder, _ = start(queue)
    holder.must_hold()
    line = in_line(start, queue, waiting)
    late = Caller(queue)
    with pytest.raises(LlmBusyError, match="too many people are asking at once") as refused:
        late()
    assert refused.value.retry_after >= 1
    assert late.told == []
    # Who is turned away takes nothing from those in line.
    holder.done.set()
    for caller, ended in line:
        caller.must_hold()
        caller.done.set()
        ended.result(LONG)


def test_nobody_joins_a_line_that_would_eat_the_deadline(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("moodflix.recommend.llm.limits.time", SimpleNamespace(monotonic=clock))
    queue = Queue(parallel=1, waiting=4)
    with queue.join(Deadline(LONG)) as waiting:
        assert list(waiting) == []
        clock.now += 10
    holder, _ = start(queue, Deadline(1000))
    holder.must_hold()
    # 10 s until its turn and 10 s for itself.
    with pytest.raises(LlmBusyError, match="the line is too long to wait in") as refused:
        Caller(queue, Deadline(19))()
    assert refused.value.retry_after == 10
    second, _ = start(queue, Deadline(21))
    await_condition(lambda: second.told == [1], "its place")
    with pytest.raises(LlmBusyError):
        Caller(queue, Deadline(29))()


def test_a_call_whose_deadline_passes_in_line_leaves_it(start: Start) -> None:
    queue = Queue(parallel=1, waiting=1)
    holder, _ = start(queue)
    holder.must_hold()
    _, ended = start(queue, Deadline(0.3))
    with pytest.raises(LlmError, match="the deadline passed while others were being answered"):
        ended.result(LONG)
    in_line(start, queue, 1)


def test_a_waiting_call_that_leaves_frees_its_place(start: Start) -> None:
    queue = Queue(parallel=1, waiting=2)
    holder, _ = start(queue)
    holder.must_hold()
    (first, gone), (second, _) = in_line(start, queue, 2)
    first.leaves.set()
    gone.result(LONG)
    await_condition(lambda: second.told == [2, 1], "the next to move up")
    third, _ = start(queue)
    await_condition(lambda: third.told == [2], "the freed place")
    holder.done.set()
    second.must_hold()
    assert not first.holds.is_set()


@pytest.mark.parametrize("error", [LlmError("no"), RuntimeError("odd"), KeyboardInterrupt()])
def test_an_exception_frees_the_place(start: Start, error: BaseException) -> None:
    queue = Queue(parallel=1, waiting=1)
    for _ in range(3):
        with pytest.raises(type(error)), queue.join(Deadline(LONG)):
            raise error
    last, _ = start(queue)
    last.must_hold()
    assert last.told == []


def test_an_exception_in_line_frees_the_place(start: Start) -> None:
    queue = Queue(parallel=1, waiting=1)
    holder, _ = start(queue)
    holder.must_hold()
    with pytest.raises(RuntimeError), queue.join(Deadline(LONG)):
        raise RuntimeError
    in_line(start, queue, 1)


def test_a_call_in_line_hears_of_each_second(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moodflix.recommend.llm.limits.WAITING_SECONDS", 0.01)
    queue = Queue(parallel=1, waiting=1)
    holder, _ = start(queue)
    holder.must_hold()
    with queue.join(Deadline(LONG)) as waiting:
        assert [next(waiting) for _ in range(3)] == [Queued(1), Waiting(), Waiting()]
        holder.done.set()
        assert set(waiting) <= {Waiting()}


def test_who_leaves_the_line_teaches_nothing_of_how_long_a_call_takes(start: Start) -> None:
    queue = Queue(parallel=1, waiting=1)
    holder, _ = start(queue)
    holder.must_hold()
    for _ in range(3):
        with queue.join(Deadline(LONG)) as waiting:
            assert next(waiting) == Queued(1)
