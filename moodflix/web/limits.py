"""Limits how often one client may use an endpoint; counted for all workers together."""

from __future__ import annotations

import fcntl
import math
import mmap
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import Any, Final

from flask import Flask, Response, request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from moodflix import address
from moodflix.config import Settings
from moodflix.web.exchange import answer_in_kind, reply_error

# Setting -> the views it limits, each counted by itself.
_LIMITED: Final = {
    "rate_limit_questions": ("inference.infer", "inference.reading"),
    "rate_limit_logs": ("inference.save_choice",),
    "rate_limit_feedbacks": ("inference.save_feedback",),
    "rate_limit_logins": ("dashboard.log_in",),
}
# A row has three numbers: hash of its key, count, and the second in which the count ends.
_WIDTH: Final = 3
_ROWS: Final = 8192
_BUCKET: Final = 8  # rows that one hash may use
# An IPv6 client has as many addresses as it likes, all in one network of this size.
_NETWORK_BITS: Final = 64


def init_app(app: Flask) -> None:
    """Limit the views, unless a setting turns that off."""
    settings: Settings = app.extensions["moodflix.settings"]
    if not settings.rate_limit_enabled:
        return
    limiter = FixedWindowRateLimiter(SharedCounts())
    limits = {
        endpoint: RateLimitItemPerMinute(getattr(settings, name))
        for name, endpoints in _LIMITED.items()
        for endpoint in endpoints
        if getattr(settings, name)
    }

    # Flask-Limiter, which uses the same library, would take half a millisecond of every request.
    @app.before_request
    def check() -> Response | None:
        limit = limits.get(request.endpoint or "") if request.method == "POST" else None
        if limit is None or limiter.hit(limit, request.endpoint or "", client()):
            return None
        reset_time, _ = limiter.get_window_stats(limit, request.endpoint or "", client())
        return _too_many(limit, max(1, math.ceil(reset_time - time.time())))


def client() -> str:
    """Return who sends the request: an IPv4 address, or the network of an IPv6 one."""
    found = address.parsed(request.remote_addr or "")
    if isinstance(found, IPv6Address):
        return f"{int(found) >> _NETWORK_BITS:x}"
    return str(found or request.remote_addr)


def _too_many(limit: RateLimitItem, seconds: int) -> Response:
    answer_in_kind()
    often = f"{limit.amount} a minute"
    response = reply_error(f"Too many requests: at most {often}; try again in {seconds} s", 429)
    response.headers["Retry-After"] = str(seconds)
    return response


class SharedCounts(Storage):
    """Counts in memory that is shared with the workers forked later.

    A table of fixed size: where its bucket is full, a key takes the place of the count that ends
    first. ``lockf`` is released when its process ends, however it ends.
    """

    STORAGE_SCHEME = ["moodflix-shared"]  # noqa: RUF012 - the library's type
    base_exceptions = OSError

    def __init__(self, uri: str | None = None, **options: Any) -> None:
        """Make an empty table."""
        super().__init__(uri, **options)
        self._table = memoryview(mmap.mmap(-1, 8 * _WIDTH * _ROWS)).cast("Q")
        self._threads = threading.Lock()
        self._processes = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the table
        weakref.finalize(self, self._processes.close)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count ``amount`` more for ``key``; return the count of its window of ``expiry`` s."""
        with self._row(key) as (row, digest):
            table, now = self._table, time.time()
            if table[row] != digest or table[row + 2] <= now:
                table[row], table[row + 1], table[row + 2] = digest, 0, int(now + expiry)
            table[row + 1] += amount
            return int(table[row + 1])

    def get(self, key: str) -> int:
        """Return the count of a key."""
        with self._row(key) as (row, digest):
            table = self._table
            is_current = table[row] == digest and table[row + 2] > time.time()
            return int(table[row + 1]) if is_current else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window of a key ends, in seconds since the epoch."""
        with self._row(key) as (row, digest):
            return float(self._table[row + 2]) if self._table[row] == digest else time.time()

    def check(self) -> bool:
        """Return that it works."""
        return True

    def reset(self) -> int | None:
        """Forget all counts."""
        with self._locked():
            for place in range(len(self._table)):
                self._table[place] = 0
        return None

    def clear(self, key: str) -> None:
        """Forget the count of a key."""
        with self._row(key) as (row, digest):
            if self._table[row] == digest:
                self._table[row] = 0

    @contextmanager
    def _row(self, key: str) -> Iterator[tuple[int, int]]:
        """Lock the table; yield where a key is, or may be put, and its hash."""
        digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") or 1
        start = digest % (_ROWS // _BUCKET) * _BUCKET
        rows = range(_WIDTH * start, _WIDTH * (start + _BUCKET), _WIDTH)
        with self._locked():
            found = [row for row in rows if self._table[row] == digest]
            yield found[0] if found else min(rows, key=lambda row: self._table[row + 2]), digest

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._processes, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._processes, fcntl.LOCK_UN)
