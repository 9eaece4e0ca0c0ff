"""From the start of a process to its first answer, against bare imports; ``-m benchmarks.start``.

The processes run in turns, so that what else the machine does meets both. It prints a table, writes
``benchmarks/results/start.json`` and fails if a goal is missed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import click

from benchmarks.station import migrate
from tests.server import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "start.json"
ROUNDS: Final = 7
BARE: Final = "bare imports"
# Processor time of the station's first answer, in that of the bare imports.
GOAL: Final = 5.0
_ANSWER: Final = """
from moodflix import create_app
client = create_app().test_client()
answer = client.post("/inference", json={"text": "I feel lonely, something with food"})
assert len(answer.get_json()["movies"]) > 4
"""
PROCESSES: Final = {
    BARE: "import flask, sqlalchemy, numpy",
    "create_app": "from moodflix import create_app; create_app()",
    "first answer": _ANSWER,
    "import sklearn": "import sklearn.feature_extraction.text, sklearn.decomposition",
}


def run(code: str, folder: str) -> tuple[float, float]:
    """Return the wall and processor seconds of a new process."""
    settings = {"MOODFLIX_INSTANCE": folder, "MOODFLIX_LLM": "embedded"}
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | settings, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"the process failed: {code}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def measure() -> dict[str, dict[str, float]]:
    """Return the medians of each process, and its ratio to the bare imports."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in PROCESSES}
    with tempfile.TemporaryDirectory() as folder:
        migrate(Path(folder))
        run(_ANSWER, folder)
        for _ in range(ROUNDS):
            for name, code in PROCESSES.items():
                taken[name].append(run(code, folder))
    found = {
        name: {
            "wall_seconds": statistics.median(wall for wall, _ in rounds),
            "cpu_seconds": statistics.median(cpu for _, cpu in rounds),
        }
        for name, rounds in taken.items()
    }
    for each in found.values():
        each["ratio"] = each["cpu_seconds"] / found[BARE]["cpu_seconds"]
    return found


def main() -> int:
    """Print a table, write JSON, and return 1 if the goal is missed."""
    found = measure()
    click.echo(f"{'':16} {'wall s':>8} {'CPU s':>8} {'x bare':>8}")
    for name, each in found.items():
        seconds = f"{each['wall_seconds']:8.2f} {each['cpu_seconds']:8.2f}"
        click.echo(f"{name:16} {seconds} {each['ratio']:8.1f}")
    result = {"machine": platform.machine(), "python": platform.python_version(), "starts": found}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    met = found["first answer"]["ratio"] <= GOAL
    click.echo("the goal is met" if met else f"goal missed: at most {GOAL} times bare imports")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
