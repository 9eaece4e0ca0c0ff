"""Looks after the process in which a station reads frames and clips."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from moodflix.perception import merge
from tests.server import Served


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def perceived(station: Served, body: dict[str, Any]) -> dict[str, Any]:
    """What the station says it perceived; films come with it whatever was sent."""
    answered = station.post("/inference", body | {"limit": 2})
    assert answered.status_code == httpx.codes.OK, answered.text
    got = answered.json()
    assert len(got["movies"]) == 2
    assert (got["mood"], got["tone"]) == tuple(
        got["perceived"][_]["label"] for _ in ("mood", "tone")
    )
    seen: dict[str, Any] = got["perceived"]
    return seen


def readers(pid: int) -> Iterator[int]:
    """The processes below one that read frames and clips."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue  # a thread that has just ended
        for child in map(int, children):
            if b"worker.serve" in Path(f"/proc/{child}/cmdline").read_bytes():
                yield child
            yield from readers(child)


def reader(station: Served) -> int:
    [pid] = readers(station.pid)
    return pid


def end_reader() -> None:
    """Let the next frame or clip start a process of its own: one reads for all apps of ours."""
    merge._worker._stop()  # noqa: SLF001 - it ends with its station, which is this process


def ticks(pid: int) -> int:
    """Hundredths of a second of CPU."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def megabytes(pid: int, what: str) -> float:
    """``VmRSS``, now; ``VmHWM``, the most ever."""
    lines = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return int(lines[what].split()[0]) / 1024
