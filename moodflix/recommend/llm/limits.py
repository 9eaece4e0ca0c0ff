"""Who may ask the LLM now: a bounded queue, first come first served, and a circuit breaker."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from moodflix.errors import LlmBusyError, LlmError
from moodflix.recommend.llm.client import Deadline

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0
# How often a waiting call looks whether its asker is still there.
_LOOK_SECONDS: Final = 0.25
# Weight of the newest call in the moving average of how long a call takes.
_NEWEST: Final = 0.3


class Breaker:
    """Skips a failing LLM for a while that doubles with each further failure.

    Closed: every call passes. Open: none does until the pause is over. Half-open: one call tries.
    """

    def __init__(self, failures: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Open after ``failures`` failures in a row; never for 0."""
        self._limit = failures
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._opened_at: float | None = None
        self._trying = False

    def check(self) -> bool:
        """Let a call pass; return whether it is the one that tries.

        Raises:
            LlmBusyError: the LLM is being skipped.
        """
        with self._lock:
            if self._opened_at is None:
                return False
            left = self._opened_at + self._pause - self._clock()
            if left <= 0 and not self._trying:
                self._trying = True
                return True
            raise LlmBusyError(
                f"skipped after {self._failures} failures in a row", math.ceil(max(left, 1))
            )

    def succeeded(self) -> None:
        """Close."""
        with self._lock:
            self._failures, self._pause = 0, _FIRST_PAUSE
            self._opened_at, self._trying = None, False

    def failed(self, *, trial: bool) -> None:
        """Count a failure; open, or after a trial stay open for longer."""
        with self._lock:
            self._failures += 1
            if self._opened_at is not None:
                # The failed trial doubles the pause; calls from before it was open don't.
                if trial:
                    self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                    self._opened_at, self._trying = self._clock(), False
            elif self._limit and self._failures >= self._limit:
                self._opened_at = self._clock()

    def gave_up(self, *, trial: bool) -> None:
        """Note that a call ended without telling anything: its asker went away."""
        with self._lock:
            self._trying = self._trying and not trial

    def state(self) -> str:
        """Return closed, half-open, or open with the seconds left."""
        with self._lock:
            if self._opened_at is None:
                return "closed"
            left = self._opened_at + self._pause - self._clock()
            return f"open, tries again in {math.ceil(left)} s" if left > 0 else "half-open"


class Queue:
    """At most ``parallel`` calls at a time and ``waiting`` in line."""

    def __init__(self, parallel: int, waiting: int) -> None:
        """Start empty."""
        self._parallel = parallel
        self._waiting = waiting
        self._lock = threading.Lock()
        self._running = 0
        self._line: deque[threading.Event] = deque()
        self._usual_seconds = 0.0

    @contextmanager
    def place(self, deadline: Deadline, tell: Callable[[int], None]) -> Iterator[float]:
        """Wait for a turn and hold it; yields the seconds waited.

        Args:
            deadline: when waiting makes no sense any more.
            tell: called with the position (1 is next) when waiting begins and each time it changes.

        Raises:
            LlmBusyError: the line is full, or so long that the deadline would pass in it.
            LlmError: the deadline passed in it.
        """
        started = time.monotonic()
        turn = self._join(deadline)
        try:
            self._wait(turn, deadline, tell)
            called = time.monotonic()
            yield called - started
            self._note(time.monotonic() - called)
        finally:
            self._leave(turn)

    def _join(self, deadline: Deadline) -> threading.Event:
        turn = threading.Event()
        with self._lock:
            if self._running < self._parallel:
                self._running += 1
                turn.set()
                return turn
            usual = self._usual_seconds / self._parallel
            wait = (len(self._line) + 1) * usual
            if len(self._line) >= self._waiting:
                raise LlmBusyError("too many people are asking at once", math.ceil(max(wait, 1)))
            if wait + self._usual_seconds > deadline.left():
                raise LlmBusyError("the line is too long to wait in", math.ceil(max(usual, 1)))
            self._line.append(turn)
        return turn

    def _wait(self, turn: threading.Event, deadline: Deadline, tell: Callable[[int], None]) -> None:
        told = 0
        while not turn.is_set():
            with self._lock:
                position = self._line.index(turn) + 1 if turn in self._line else 0
            if position and position != told:
                tell(position)
                told = position
            if deadline.left() <= 0:
                raise LlmError("the deadline passed while others were being answered")
            turn.wait(_LOOK_SECONDS)

    def _leave(self, turn: threading.Event) -> None:
        with self._lock:
            if turn in self._line:
                self._line.remove(turn)
                return
            if self._line:
                self._line.popleft().set()
            else:
                self._running -= 1

    def _note(self, seconds: float) -> None:
        with self._lock:
            before = self._usual_seconds or seconds
            self._usual_seconds = before + _NEWEST * (seconds - before)
