"""What reading a face costs on one core, against the same nets run by their npm package in Node.

Run it from the checkout with ``.venv/bin/python -m benchmarks.perception`` after ``npm ci`` (some
ten seconds). It prints a table, writes ``benchmarks/results/perception.json`` and fails if a goal
is missed.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from PIL import Image

from benchmarks.station import new_station
from benchmarks.voice import spoken
from moodflix.perception import face, face_nets
from tests import faces, voices
from tests.perceiving import perceived, reader, text, ticks
from tests.server import ROOT, Served

RESULTS: Final = ROOT / "benchmarks" / "results" / "perception.json"
ROUNDS: Final = 30
LOGS: Final = 300
# What today's front-ends send.
FRAMES: Final = 20
# Seconds of CPU and megabytes above idle.
GOALS: Final = {"cpu_seconds": 0.7, "megabytes": 100.0, "with_clip_cpu_seconds": 0.8}


def timed(work: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """Return the milliseconds that each of the calls took."""
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1000)
    return took


def side_by_side() -> dict[str, dict[str, float]]:
    """Return what each net takes here and in Node on the same frame, median milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        frame = Path(folder) / "frame.jpg"
        frame.write_bytes(faces.frame(faces.SMILING))
        done = subprocess.run(  # noqa: S603 - our own script
            ["node", ROOT / "tests" / "face_parity.mjs", str(ROUNDS), frame],  # noqa: S607
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        image = np.asarray(Image.open(frame.with_name("frame.jpg.ppm")))
    theirs = json.loads(done.stdout)
    [found] = face_nets.detect(image)
    ours = {
        "detect": timed(lambda: face_nets.detect(image)),
        "express": timed(lambda: face_nets.express(image, found)),
    }
    return {
        net: {"numpy": statistics.median(took), "node": statistics.median(theirs[net])}
        for net, took in ours.items()
    }


def request() -> dict[str, float]:
    """Return the CPU seconds of one request's frames, and the megabytes above idle at its peak."""
    frames = [faces.frame(faces.SMILING)] * FRAMES
    face.nets_problem()
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    read = face.read(frames)
    took = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if read.label != "happy":
        raise RuntimeError(f"a smile was read as {read}")
    return {"cpu_seconds": took, "megabytes": (peak - idle) / 1024}


def together() -> dict[str, float]:
    """Return what 20 frames and a clip of 4 s take of a real station.

    ``with_clip_cpu_seconds`` of the process that reads, ``answer_seconds``, and the milliseconds
    that the slowest hundredth of logs takes, quiet and while one request after the other is read.
    """
    clip = voices.recorded("chrome", spoken())
    body = {"images": [text(faces.frame(faces.SMILING))] * FRAMES, "audio": text(clip)}
    with new_station() as served:
        perceived(served, body)
        used = ticks(reader(served))
        answers = timed(lambda: perceived(served, body))
        used = ticks(reader(served)) - used

        def logs() -> float:
            return statistics.quantiles(timed(lambda: log(served), LOGS), n=100)[-1]

        quiet = logs()
        stop = threading.Event()

        def people() -> None:
            while not stop.is_set():
                perceived(served, body)

        with ThreadPoolExecutor(2) as pool:
            going = [pool.submit(people) for _ in range(2)]
            busy = logs()
            stop.set()
        for each in going:
            each.result()
    return {
        "with_clip_cpu_seconds": used / 100 / ROUNDS,
        "answer_seconds": statistics.median(answers) / 1000,
        "log_p99_ms_quiet": quiet,
        "log_p99_ms_busy": busy,
    }


def log(served: Served) -> None:
    """Save a choice."""
    served.post("/inference/log", {"movieTitle": "Paterson"}).raise_for_status()


def main() -> int:
    """Print a table, write JSON, and return 1 if a goal is missed."""
    joined = together()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asked = request() | joined
    both = side_by_side()
    click.echo(f"{'one frame of 640x480':22} {'numpy ms':>9} {'node ms':>9}")
    for net, took in both.items():
        click.echo(f"{net:22} {took['numpy']:9.1f} {took['node']:9.1f}")
    cpu, above = asked["cpu_seconds"], asked["megabytes"]
    click.echo(f"{FRAMES} frames: {cpu:.2f} s of CPU, {above:.0f} MB above idle")
    click.echo(
        f"and a clip of 4 s: {joined['with_clip_cpu_seconds']:.2f} s of CPU, answered after "
        f"{joined['answer_seconds']:.2f} s; p99 of logs {joined['log_p99_ms_quiet']:.0f} ms quiet, "
        f"{joined['log_p99_ms_busy']:.0f} ms while two people are read all the time"
    )
    results = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "nets": both,
        "request": asked,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    missed = [goal for goal, most in GOALS.items() if asked[goal] >= most]
    click.echo("goals missed: " + ", ".join(missed) if missed else "all goals are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
