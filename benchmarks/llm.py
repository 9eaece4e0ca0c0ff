"""What asking through the station costs, against the same Ollama asked bare.

Run it from the checkout with ``.venv/bin/python -m benchmarks.llm`` (some three minutes). It starts
a real gunicorn on a database of its own and a loopback server that streams an answer at a steady
pace; it prints a table, writes ``benchmarks/results/llm.json`` and fails if a goal is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click
import httpx
import ollama

from benchmarks.station import migrate, serving
from moodflix import create_app
from moodflix.config import PREFIX, Settings
from moodflix.recommend.llm import prompt
from moodflix.recommend.query import Query
from tests.fake_ollama import (
    Behaviour,
    FakeOllama,
    Handler,
    begins,
    dribbles,
    dribbles_headers,
    hangs,
)
from tests.server import ROOT, Served, await_condition

RESULTS: Final = ROOT / "benchmarks" / "results" / "llm.json"
SAMPLES: Final = ROOT / "samples" / "user_logs.csv"
ROUNDS: Final = 5
TOKENS: Final = 250
SECONDS: Final = 3.0
FILMS: Final = 5
TIMEOUT: Final = 2.0
CROWD: Final = 40
QUIET_SECONDS: Final = 15.0
# One log and one read, each some 30 times a second: far more than people at a screen can do.
PROBE_SECONDS: Final = 1 / 30
WHY: Final = "It begins quietly, in a kitchen, and by its end has said more than it let on; " * 2
# No mood by hand: the station ranks once more when the LLM has read it.
EVENING: Final = {
    "environment": {
        "city": "Seoul",
        "weather_desc": "light rain",
        "temperature": 14,
        "weekday": "Tuesday",
        "today_status": "work",
        "tomorrow_status": "holiday",
    }
}
CHOICE: Final = {
    "movieTitle": "Paterson",
    "mood": "sad",
    "tone": "subdued",
    "env": EVENING["environment"],
}
ANSWER: Final = json.dumps(
    {
        "mood": "sad",
        "tone": "subdued",
        "chosen": [{"number": number, "why": WHY} for number in range(1, FILMS + 1)],
        "others": [],
    }
)


@dataclass(frozen=True)
class Figure:
    """One line of the table; without a goal it is there for comparison."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal was met, if there is one."""
        return None if self.goal is None else self.value < self.goal


class BenchmarkError(Exception):
    """An answer was not what the benchmark measures."""


def paced(handler: Handler) -> None:
    """Stream the answer at a steady pace, whatever a token costs to send."""
    step = -(-len(ANSWER) // TOKENS)
    pieces = [ANSWER[start : start + step] for start in range(0, len(ANSWER), step)]
    started = time.monotonic()
    handler.begin_stream()
    for place, piece in enumerate(pieces, start=1):
        due = started + SECONDS * place / len(pieces)
        time.sleep(max(0.0, due - time.monotonic()))
        handler.say(piece)
    handler.say_done()


@contextmanager
def served(folder: Path, fake: FakeOllama, **settings: object) -> Iterator[Served]:
    """Serve a database with the sample logs, once everything that warms up is warm."""
    migrate(folder)
    app = create_app(Settings(instance=folder, llm="embedded"))
    result = app.test_cli_runner().invoke(args=["logs", "import", str(SAMPLES)])
    app.extensions["moodflix.db"].engine.dispose()
    check(result.exit_code == 0, result.output)
    os.environ["OLLAMA_HOST"] = fake.url
    with serving(folder, **({"llm": "auto"} | settings)) as station:
        await_condition(
            lambda: station.get("/readyz").json()["recommenders"]["context"]["status"] == "up",
            "the station to have learned the samples",
        )
        yield station


def check(holds: object, said: object) -> None:
    """Stop the benchmark with what was said instead."""
    if not holds:
        raise BenchmarkError(str(said))


def bare(client: ollama.Client) -> dict[str, float]:
    """Ask as a plain script would; return the seconds to the first film and to the end."""
    asked = prompt.build(Query(context={}), FILMS)
    started = time.monotonic()
    marks: dict[str, float] = {}
    for chunk in client.chat(
        "llama3.2:3b", asked.messages, stream=True, think=False, format=asked.schema
    ):
        if "}" in (chunk.message.content or ""):
            marks.setdefault("film", time.monotonic() - started)
    return marks | {"whole": time.monotonic() - started}


def streamed(station: Served) -> dict[str, float]:
    """Ask for events; return the seconds to each kind's first."""
    started = time.monotonic()
    marks: dict[str, float] = {}
    accept = {"Accept": "text/event-stream"}
    with station.http.stream("POST", "/inference", json=EVENING, headers=accept) as response:
        event = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
                marks.setdefault(event, time.monotonic() - started)
            elif line.startswith("data: ") and event == "answer":
                check_used(json.loads(line.removeprefix("data: ")))
    check({"perceived", "picks", "pick", "answer"} <= marks.keys(), f"events: {sorted(marks)}")
    return marks


def plain(station: Served) -> dict[str, float]:
    """Ask for one JSON answer; return the seconds it took."""
    started = time.monotonic()
    response = station.post("/inference", EVENING)
    marks = {"whole": time.monotonic() - started}
    check_used(response.json())
    return marks


def check_used(answer: Any) -> None:
    """Check that all of the LLM's films came."""
    said = (answer["llm"], answer["primary_llm"])
    check(answer["llm"]["status"] == "used" and len(answer["primary_llm"]) == FILMS, said)


def overhead(folder: Path) -> Iterator[Figure]:
    """Compare the station with the same server asked bare, turn by turn."""
    with FakeOllama() as fake, served(folder, fake) as station:
        fake.default = paced
        client = ollama.Client(fake.url, trust_env=False)
        rounds = [(bare(client), streamed(station), plain(station)) for _ in range(ROUNDS)]

    def median(
        of: Callable[[dict[str, float], dict[str, float], dict[str, float]], float],
    ) -> float:
        return statistics.median(of(*each) for each in rounds)

    yield Figure("bare: first film", median(lambda b, _s, _p: b["film"]), "s")
    yield Figure("bare: whole answer", median(lambda b, _s, _p: b["whole"]), "s")
    yield Figure("perceived, after the request", median(lambda _b, s, _p: s["perceived"]), "s")
    yield Figure("first picks, after perceived", median(lambda _b, s, _p: _wait(s)), "s", 0.150)
    ratio = median(lambda b, s, _p: _wait(s) / b["whole"])
    yield Figure("first picks, after perceived / bare whole", ratio, "x")
    yield Figure("first film / bare", median(lambda b, s, _p: s["pick"] / b["film"]), "x")
    ratio = median(lambda b, s, _p: s["answer"] / b["whole"])
    yield Figure("whole answer, streamed / bare", ratio, "x", 1.05)
    ratio = median(lambda b, _s, p: p["whole"] / b["whole"])
    yield Figure("whole answer, plain / bare", ratio, "x", 1.05)


def _wait(marks: dict[str, float]) -> float:
    return marks["picks"] - marks["perceived"]


def lateness(folder: Path) -> Iterator[Figure]:
    """Say how far past its deadline an answer comes, whatever the server does."""
    half = ANSWER[: len(ANSWER) // 2]
    misbehaviours: dict[str, Behaviour] = {
        "stalling at once": hangs,
        "stalling half-way": begins(half, hangs),
        "dribbling": begins("", dribbles(b" ")),
        "dribbling half-way": begins(half, dribbles(b" ")),
        "dribbling headers": dribbles_headers,
    }
    with (
        FakeOllama() as fake,
        served(folder, fake, llm_timeout=TIMEOUT, llm_breaker=0) as station,
    ):
        for name, behave in misbehaviours.items():
            fake.default = behave
            late = max(_lateness(station) for _ in range(3))
            yield Figure(f"past the deadline, {name}", late, "s", 0.5)
        fake.default = hangs
        with ThreadPoolExecutor() as people:
            late = max(people.map(lambda _: _lateness(station), range(FILMS)))
        yield Figure(f"past the deadline, {FILMS} in line", late, "s", 0.5)


def _lateness(station: Served) -> float:
    started = time.monotonic()
    answer = station.post("/inference", EVENING).json()
    late = time.monotonic() - started - TIMEOUT
    check(answer["llm"]["status"] in {"partial", "unavailable"}, answer["llm"])
    check(answer["movies"], answer)
    return late


class SampledSoftmax:
    """Logs and reads at a steady rate until told to stop, and times each.

    In processes of their own: the crowd's threads would keep them from asking in time.
    """

    def __init__(self, station: Served) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ended = spawn.Event()
        self._people = ProcessPoolExecutor(
            2, mp_context=spawn, initializer=_lend, initargs=(self._ended,)
        )
        work = {"log": ("POST", CHOICE), "read": ("GET", None)}
        # What a process imports first is not to be measured.
        wait([self._people.submit(time.sleep, 1) for _ in work])
        self._work = {
            name: self._people.submit(_probe, station.url, *how) for name, how in work.items()
        }

    def stop(self) -> dict[str, list[float]]:
        """End, and return what each request took."""
        self._ended.set()
        seconds = {name: each.result() for name, each in self._work.items()}
        self._people.shutdown()
        return seconds


_ended: Any


def _lend(ended: Any) -> None:
    global _ended  # noqa: PLW0603 - an event can be handed only to a process that starts
    _ended = ended


def _probe(url: str, method: str, body: object) -> list[float]:
    seconds = []
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        due = time.monotonic()
        while not _ended.wait(max(0.0, due - time.monotonic())):
            response = http.request(method, "/inference/log", json=body)
            # From when it was due: a slow answer must not spare those behind it.
            seconds.append(time.monotonic() - due)
            check(response.is_success, response.text)
            due += PROBE_SECONDS
    return seconds


def figures_of(label: str, seconds: dict[str, list[float]], goal: float | None) -> Iterator[Figure]:
    """Yield the percentiles of each kind of request."""
    for name, taken in seconds.items():
        cuts = statistics.quantiles(taken, n=100, method="inclusive")
        yield Figure(f"{name} p50, {label} (n={len(taken)})", cuts[49] * 1000, "ms")
        yield Figure(f"{name} p99, {label}", cuts[98] * 1000, "ms", goal)
        yield Figure(f"{name} worst, {label}", max(taken) * 1000, "ms")


def crowd(folder: Path, label: str, **settings: object) -> Iterator[Figure]:
    """Time logs and reads alone, then while a crowd asks for films."""
    with FakeOllama() as fake, served(folder, fake, **settings) as station:
        fake.default = paced
        probe = SampledSoftmax(station)
        time.sleep(QUIET_SECONDS)
        yield from figures_of(f"quiet, {label}", probe.stop(), None)
        limits = httpx.Limits(max_connections=CROWD)
        with (
            httpx.Client(base_url=station.url, timeout=120, limits=limits, trust_env=False) as http,
            ThreadPoolExecutor(CROWD) as people,
        ):
            probe = SampledSoftmax(station)
            asked = [people.submit(http.post, "/inference", json=EVENING) for _ in range(CROWD)]
            answers = [each.result() for each in asked]
            busy = probe.stop()
        failed = [each.text for each in answers if not each.is_success]
        check(not failed, failed)
        used = sum(each.json()["llm"]["status"] == "used" for each in answers)
        yield from figures_of(f"{CROWD} asking, {label}", busy, 100.0)
        yield Figure(f"answered by the LLM, {label}", used, f"of {CROWD}")


def measure(folder: Path) -> Iterator[Figure]:
    """Yield every figure, each part on a station of its own."""
    parts: dict[str, Callable[[Path], Iterator[Figure]]] = {
        "overhead": overhead,
        "lateness": lateness,
        "usual": lambda own: crowd(own, "usual queue"),
        "waiting": lambda own: crowd(
            own, "all in line", llm_queue=CROWD, threads=CROWD + 8, llm_timeout=QUIET_SECONDS
        ),
    }
    for name, part in parts.items():
        own = folder / name
        own.mkdir()
        yield from part(own)


def main() -> int:
    """Print and store the figures; return 1 if a goal is missed."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            del os.environ[name]
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for figure in measure(Path(folder)):
            goal = "" if figure.goal is None else f"< {figure.goal:g}"
            verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
            click.echo(
                f"{figure.name:<48}{figure.value:>10.3f} {figure.unit:<6}{goal:>8}  {verdict}"
            )
            figures.append(figure)
    RESULTS.parent.mkdir(exist_ok=True)
    report = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "figures": [asdict(each) | {"met": each.met} for each in figures],
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(each.met is False for each in figures))


if __name__ == "__main__":
    sys.exit(main())
