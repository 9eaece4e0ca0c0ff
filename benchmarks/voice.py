"""What reading a four-second clip of a voice costs on one core, WAV and as browsers record it.

Run it from the checkout with ``.venv/bin/python -m benchmarks.voice`` (some ten seconds; it needs
espeak-ng). It prints a table, writes ``benchmarks/results/voice.json`` and fails if a goal is
missed.
"""

from __future__ import annotations

import json
import platform
import resource
import statistics
import sys
import time
from typing import Any, Final

import click

from moodflix.perception import voice
from tests import voices
from tests.server import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "voice.json"
ROUNDS: Final = 30
SECONDS: Final = 4
# Milliseconds of CPU, also of the first time, and megabytes above idle.
GOALS: Final = {"median_ms": 150.0, "first_ms": 800.0, "megabytes": 100.0}


def spoken() -> bytes:
    """Return four seconds of speech, as WAV."""
    sound, rate = voices.samples(voices.speech((40, 140)))
    return voices.wav(sound[: SECONDS * rate], rate)


def cpu(clip: bytes) -> float:
    """Return the milliseconds of CPU that reading it takes."""
    started = time.process_time()
    read = voice.read(clip)
    took = (time.process_time() - started) * 1000
    if not read.confidence:
        raise SystemExit(f"the voice was not read: {read.missing}")
    return took


def main() -> None:
    """Measure, print, write, and fail on a missed goal."""
    wav = spoken()
    clips = {"wav": wav}
    clips |= {by: voices.recorded(by, wav) for by in ("chrome", "firefox", "safari")}
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first = {name: cpu(clip) for name, clip in clips.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    again = {
        name: statistics.median(cpu(clip) for _ in range(ROUNDS)) for name, clip in clips.items()
    }
    measured: dict[str, Any] = {
        "median_ms": round(max(again.values()), 1),
        "first_ms": round(max(first.values()), 1),
        "megabytes": round((peak - idle) / 1024, 1),
        "clips": {
            name: {"bytes": len(clips[name]), "ms": round(ms, 1)} for name, ms in again.items()
        },
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    for name, clip in measured["clips"].items():
        click.echo(f"{name:<8} {clip['bytes']:>8} bytes {clip['ms']:>7.1f} ms of CPU")
    click.echo(f"first {measured['first_ms']} ms, {measured['megabytes']} MB above idle")
    RESULTS.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    missed = [name for name, goal in GOALS.items() if measured[name] > goal]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
