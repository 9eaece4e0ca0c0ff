"""What saving a choice and listing the newest 50 cost, against the least that Flask can do.

Run it from the checkout with ``.venv/bin/python -m benchmarks.logs`` (about two minutes). Both are
served by gunicorn with the station's settings and measured in turns; it prints a table, writes
``benchmarks/results/logs.json`` and fails if a goal is missed.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click
from flask import Flask, request
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
)

from benchmarks.station import migrate, serving
from moodflix.config import PREFIX, Settings
from moodflix.requests import COLUMNS
from tests.server import ROOT, await_condition, free_port

RESULTS: Final = ROOT / "benchmarks" / "results" / "logs.json"
ROUNDS: Final = 9
SECONDS: Final = 1.5
CHOICE: Final = {
    "clientSentAt": "2026-01-31T20:15:00+09:00",
    "movieTitle": "Paterson",
    "mood": "sad",
    "tone": "subdued",
    "env": {
        "city": "Seoul",
        "lat": 37.57,
        "lon": 126.98,
        "weather_desc": "light rain",
        "temperature": 14,
        "weekday": "Saturday",
        "today_status": "holiday",
        "tomorrow_status": "work",
    },
}


@dataclass(frozen=True)
class Figure:
    """How many requests a second both serve, by the median of the rounds."""

    name: str
    station: float
    least: float
    goal: float

    @property
    def share(self) -> float:
        """What the station reaches of the least view's rate."""
        return self.station / self.least


def least_app() -> Flask:
    """The least that saves a row, and the least that answers; served as ``benchmarks.logs``."""
    app = Flask(__name__)
    engine = _engine(os.environ["LEAST"])

    @app.post("/inference/log")
    def save() -> dict[str, str]:
        body = request.get_json()
        row = body["env"] | {name: body[name] for name in body.keys() - {"env"}}
        with engine.begin() as connection:
            connection.execute(insert(_CHOICES), row)
        return {"status": "ok", "message": "log saved"}

    @app.get("/inference/log")
    def constant() -> str:
        return "ok"

    return app


_CHOICES: Final = Table(
    "choices",
    MetaData(),
    Column("id", Integer, primary_key=True),
    *(Column(name, String) for name in (*COLUMNS[:-1], "movieTitle")),
)


def _engine(path: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", pool_size=64)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = FULL")

    return engine


@contextmanager
def serving_least(folder: Path) -> Iterator[int]:
    """Serve the least app from a database of its own; yields the port."""
    path = folder / "least.sqlite3"
    engine = _engine(str(path))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        _CHOICES.create(connection)
        connection.commit()
    engine.dispose()
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--threads", str(Settings().threads)]
    server = subprocess.Popen(  # noqa: S603 - this very interpreter
        [*command, "--keep-alive", "5", "--no-control-socket", "benchmarks.logs:least_app()"],
        cwd=folder,  # where no gunicorn.conf.py is
        env=os.environ | {"LEAST": str(path), "PYTHONPATH": str(ROOT)},
        stderr=(folder / "least.log").open("wb"),
    )
    try:
        await_condition(lambda: _answers(port), "the least app")
        yield port
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _request(method: str, body: bytes) -> bytes:
    head = f"{method} /inference/log HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    kind = "Content-Type: application/json\r\n" if body else ""
    return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body


def rate(port: int, message: bytes, connections: int) -> float:
    """Return how many requests a second are answered on so many connections."""
    end = time.monotonic() + SECONDS

    def ask(_: int) -> int:
        count = 0
        with socket.create_connection(("127.0.0.1", port)) as connection:
            answer = connection.makefile("rb")
            while time.monotonic() < end:
                connection.sendall(message)
                if not answer.readline().startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("a request failed")
                length = 0
                while (line := answer.readline().lower()) != b"\r\n":
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                answer.read(length)
                count += 1
        return count

    started = time.monotonic()
    with ThreadPoolExecutor(connections) as people:
        total = sum(people.map(ask, range(connections)))
    return total / (time.monotonic() - started)


def measure() -> Iterator[Figure]:
    """Yield every figure; station and least app take turns."""
    save, read = _request("POST", json.dumps(CHOICE).encode()), _request("GET", b"")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        migrate(folder)
        # Nothing is trained meanwhile: that is another process.
        station = stack.enter_context(
            serving(folder, llm="embedded", retrain_rows=10**9, retrain_hours=0)
        )
        await_condition(
            lambda: station.get("/readyz").json()["status"] == "ready", "the station's warm-up"
        )
        ports = station.port, stack.enter_context(serving_least(folder))
        for message, what, goal in ((save, "saving a choice", 0.6), (read, "the last 50", 0.4)):
            for connections in (1, 8):
                rounds = [
                    [rate(port, message, connections) for port in ports] for _ in range(ROUNDS)
                ]
                ours, least = map(statistics.median, zip(*rounds, strict=True))
                yield Figure(f"{what}, {connections} connections", ours, least, goal)


def main() -> int:
    """Print and store the figures; return 1 if a goal is missed."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            del os.environ[name]
    figures = []
    for figure in measure():
        click.echo(
            f"{figure.name:<34}{figure.station:>8.0f}/s of{figure.least:>8.0f}/s"
            f"{figure.share:>7.2f} (goal {figure.goal})"
        )
        figures.append(figure)
    report = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "figures": [asdict(each) | {"share": each.share} for each in figures],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(each.share < each.goal for each in figures))


if __name__ == "__main__":
    sys.exit(main())
