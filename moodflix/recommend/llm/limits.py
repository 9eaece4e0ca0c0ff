"""Limits on calls to the LLM: a deadline, a bounded queue and a circuit breaker."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from moodflix.errors import LlmBusyError, LlmError
from moodflix.recommend.answer import Queued, Waiting

WAITING_SECONDS: Final = 1.0
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0
# Weight of the newest call in the moving average of how long a call takes.
_NEWEST: Final = 0.3


class Deadline:
    """The moment by which an answer has to end."""

    def __init__(self, seconds: float) -> None:
        """Set the deadline ``seconds`` from now."""
        self.seconds = seconds
        self._started = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since it was set."""
        return time.monotonic() - self._started

    def remaining(self) -> float:
        """Return the seconds until it passes; 0 or less once it has."""
        return self.seconds - self.elapsed()


class Breaker:
    """Skips a failing LLM for a while that doubles with each further failure.

    Closed: every call passes. Open: none does until the pause is over. Half-open: one call is let
    through as a trial.
    """

    def __init__(self, failures: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Open after ``failures`` failures in a row; never for 0."""
        self._limit = failures
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._opened_at: float | None = None
        self._on_trial = False

    def check(self) -> bool:
        """Let a call pass; return whether it is the trial.

        Raises:
            LlmBusyError: the LLM is being skipped.
        """
        with self._lock:
            if self._opened_at is None:
                return False
            remaining = self._opened_at + self._pause - self._clock()
            if remaining <= 0 and not self._on_trial:
                self._on_trial = True
                return True
            raise LlmBusyError(
                f"skipped after {self._failures} failures in a row", math.ceil(max(remaining, 1))
            )

    def succeeded(self) -> None:
        """Close."""
        with self._lock:
            self._failures, self._pause = 0, _FIRST_PAUSE
            self._opened_at, self._on_trial = None, False

    def failed(self, *, trial: bool) -> None:
        """Count a failure; open, or after a trial stay open for longer."""
        with self._lock:
            self._failures += 1
            if self._opened_at is not None:
                # A failed trial doubles the pause; calls that began before it opened don't.
                if trial:
                    self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                    self._opened_at, self._on_trial = self._clock(), False
            elif self._limit and self._failures >= self._limit:
                self._opened_at = self._clock()

    def abandoned(self, *, trial: bool) -> None:
        """Note that a call ended without a result, as when its client disconnected."""
        with self._lock:
            self._on_trial = self._on_trial and not trial

    def state(self) -> str:
        """Return closed, half-open, or open with the seconds until a trial."""
        with self._lock:
            if self._opened_at is None:
                return "closed"
            remaining = self._opened_at + self._pause - self._clock()
            return (
                f"open, tries again in {math.ceil(remaining)} s" if remaining > 0 else "half-open"
            )


@dataclass(eq=False)
class _Ticket:
    """A call in the queue."""

    running_since: float | None = None


class Queue:
    """Lets ``parallel`` calls run and ``waiting`` calls wait at a time, first come first served."""

    def __init__(self, parallel: int, waiting: int) -> None:
        """Start empty."""
        self._parallel = parallel
        self._waiting = waiting
        self._changed = threading.Condition()
        # The running calls, and behind them the waiting ones.
        self._tickets: list[_Ticket] = []
        self._average_seconds = 0.0

    @contextmanager
    def join(self, deadline: Deadline) -> Iterator[Iterator[Queued | Waiting]]:
        """Join the queue until the context ends; its value is an iterator of waiting events.

        The call may run once that is exhausted. It raises LlmError when the deadline passes.

        Raises:
            LlmBusyError: the queue is full, or so long that the deadline would pass in it.
        """
        ticket = self._add_ticket(deadline)
        try:
            yield self._wait(ticket, deadline)
            if ticket.running_since is not None:
                self._update_average(time.monotonic() - ticket.running_since)
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def _add_ticket(self, deadline: Deadline) -> _Ticket:
        with self._changed:
            seconds_per_call = self._average_seconds / self._parallel
            ahead = len(self._tickets) - self._parallel
            if ahead >= 0:
                wait = (ahead + 1) * seconds_per_call
                if ahead >= self._waiting:
                    raise LlmBusyError("too many people are asking at once", _whole_seconds(wait))
                if wait + self._average_seconds > deadline.remaining():
                    retry_after = _whole_seconds(seconds_per_call)
                    raise LlmBusyError("the line is too long to wait in", retry_after)
            self._tickets.append(ticket := _Ticket())
        return ticket

    def _wait(self, ticket: _Ticket, deadline: Deadline) -> Iterator[Queued | Waiting]:
        announced = 0
        while True:
            with self._changed:
                position = self._position(ticket)
                if 0 < position == announced:
                    self._changed.wait(min(WAITING_SECONDS, deadline.remaining()))
                    position = self._position(ticket)
            if position <= 0:
                break
            if deadline.remaining() <= 0:
                raise LlmError("the deadline passed while others were being answered")
            yield Waiting() if position == announced else Queued(position)
            announced = position
        ticket.running_since = time.monotonic()

    def _position(self, ticket: _Ticket) -> int:
        """Return the position among the waiting calls, from 1; 0 or less for one that may run."""
        return self._tickets.index(ticket) - self._parallel + 1

    def _update_average(self, seconds: float) -> None:
        with self._changed:
            average = self._average_seconds or seconds
            self._average_seconds = average + _NEWEST * (seconds - average)


def _whole_seconds(seconds: float) -> int:
    return math.ceil(max(seconds, 1))
