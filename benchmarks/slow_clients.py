"""What others wait while 200 clients hold half-sent requests.

``python -m benchmarks.slow_clients`` (about a minute): each kind of client is held in turn with
none; it prints a table, writes ``benchmarks/results/slow_clients.json`` and fails if the slowest
hundredth of health checks and logs takes longer than the goal.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import click

from benchmarks.station import new_station
from moodflix.config import PREFIX
from tests.server import ROOT, GunicornServer
from tests.test_connections import HALVES, HELD

RESULTS: Final = ROOT / "benchmarks" / "results" / "slow_clients.json"
ROUNDS, REQUESTS = 3, 150
GOAL_MS: Final = 250.0


@contextmanager
def held(station: GunicornServer, sent: bytes) -> Iterator[None]:
    """Hold connections that have sent so much of a request."""
    with ExitStack() as stack:
        for _ in range(HELD):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", station.port)))
            client.sendall(sent)
        yield


def slowest(station: GunicornServer) -> float:
    """Return the 99th percentile of health checks and logs, in ms."""
    taken = []
    for number in range(REQUESTS):
        started = time.perf_counter()
        if number % 2:
            station.get("/healthz").raise_for_status()
        else:
            station.post("/inference/log", {"movieTitle": "Paterson"}).raise_for_status()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.quantiles(taken, n=100)[-1]


def main() -> int:
    """Print and store the figures; return 1 if the goal is missed."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            del os.environ[name]
    figures = {}
    with new_station() as station:
        slowest(station)
        for what, sent in HALVES.items():
            quiet, busy = [], []
            for _ in range(ROUNDS):
                quiet.append(slowest(station))
                with held(station, sent):
                    busy.append(slowest(station))
            figures[what] = {"quiet": statistics.median(quiet), "held": statistics.median(busy)}
            click.echo(
                f"{HELD} clients that sent {what:<18}{figures[what]['held']:>8.1f} ms"
                f" (none: {figures[what]['quiet']:.1f} ms)"
            )
    report = {"python": platform.python_version(), "cpus": os.cpu_count(), "p99_ms": figures}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(each["held"] > GOAL_MS for each in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
