"""Does a shorter ``sys.setswitchinterval`` help who logs while films are ranked?

``python -m benchmarks.switch_interval``: one thread ranks without a break, another logs choices and
reads the log; the interval changes in turns. It prints a table and writes
``benchmarks/results/switch_interval.json``.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from flask.testing import FlaskClient

from benchmarks.station import migrate
from moodflix import create_app
from moodflix.perception.wishes import understand
from moodflix.recommend.query import Query
from tests.server import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "switch_interval.json"
# Seconds; the first is Python's own.
INTERVALS: Final = (0.005, 0.0002)
ROUNDS, REQUESTS = 10, 40
LOG: Final = {"movieTitle": "Mother", "mood": "sad", "env": {"city": "Seoul"}}


class Ranking(threading.Thread):
    """Ranks again and again until it is stopped."""

    def __init__(self, catalogue: Any) -> None:
        """Take what ranks."""
        super().__init__(daemon=True)
        self._catalogue = catalogue
        self._query = Query({"mood": "sad"}, words=understand("something with food"))
        self.rankings = 0
        self.stopped = False

    def run(self) -> None:
        """Rank."""
        while not self.stopped:
            self._catalogue.rank(self._query, 40)
            self.rankings += 1


def requests(client: FlaskClient) -> dict[str, list[float]]:
    """Return the milliseconds that logs and reads took."""
    calls = {
        "log": partial(client.post, "/inference/log", json=LOG),
        "read": partial(client.get, "/inference/log?limit=50"),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REQUESTS):
        for name, call in calls.items():
            started = time.perf_counter()
            answer = call()
            taken[name].append((time.perf_counter() - started) * 1000)
            if not answer.is_json or "error" in answer.text:
                raise click.ClickException(answer.text)
    return taken


def measure() -> dict[str, dict[str, float]]:
    """Return for each interval the times of logs and reads, and the rankings per second."""
    app = create_app()
    client = app.test_client()
    catalogue = app.extensions["moodflix.station"].catalogue
    catalogue.warm()
    requests(client)
    taken: dict[float, dict[str, list[float]]] = {each: {} for each in INTERVALS}
    for _ in range(ROUNDS):
        for interval in INTERVALS:
            sys.setswitchinterval(interval)
            ranking = Ranking(catalogue)
            ranking.start()
            started = time.perf_counter()
            for name, times in requests(client).items():
                taken[interval].setdefault(name, []).extend(times)
            rate = ranking.rankings / (time.perf_counter() - started)
            ranking.stopped = True
            ranking.join()
            taken[interval].setdefault("rankings", []).append(rate)
    return {
        f"{interval * 1000:g} ms": {
            "log_median_ms": statistics.median(times["log"]),
            "log_p99_ms": statistics.quantiles(times["log"], n=100)[98],
            "read_median_ms": statistics.median(times["read"]),
            "read_p99_ms": statistics.quantiles(times["read"], n=100)[98],
            "rankings_per_second": statistics.median(times["rankings"]),
        }
        for interval, times in taken.items()
    }


def main() -> int:
    """Print a table and write JSON."""
    with tempfile.TemporaryDirectory() as folder:
        migrate(Path(folder))
        os.environ |= {"MOODFLIX_INSTANCE": folder, "MOODFLIX_LLM": "embedded"}
        found = measure()
    names = list(next(iter(found.values())))
    click.echo(f"{'interval':10} " + " ".join(f"{name:>20}" for name in names))
    for interval, numbers in found.items():
        click.echo(f"{interval:10} " + " ".join(f"{numbers[name]:20.2f}" for name in names))
    result = {"machine": platform.machine(), "python": platform.python_version(), "found": found}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
