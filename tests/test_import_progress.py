from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT

FILMS = "title,year\n" + "".join(f"A Long Enough Title {number},1990\n" for number in range(60_000))
CHOICES = "".join(f"2026-01-01T00:00:00Z,,,,,,,,,sad,,Film {number}\n" for number in range(40_000))


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        (["catalogue", "import"], FILMS, "60000 films added"),
        (["logs", "import"], CHOICES, "40000 rows"),
    ],
)
def test_an_import_shows_its_progress_on_a_terminal(
    instance: Path, tmp_path: Path, command: list[str], text: str, said: str
) -> None:
    path = tmp_path / "long.csv"
    path.write_text(text, encoding="utf-8")
    printed, shown = on_terminal(instance, *command, path)
    assert said in printed
    assert b"Reading" in shown
    assert b"100%" in shown
    assert len({step for step in shown.split(b"\r") if b"%" in step}) > 2


def test_a_backup_and_a_restore_show_their_progress_on_a_terminal(
    instance: Path, tmp_path: Path
) -> None:
    path = tmp_path / "station.zip"
    for command, label in (("backup", b"Backing up"), ("restore", b"Restoring")):
        printed, shown = on_terminal(instance, command, path)
        assert str(path) in printed
        assert label in shown
        assert b"100%" in shown


def on_terminal(instance: Path, *command: str | Path) -> tuple[str, bytes]:
    """Run a command; return what it printed, and what a terminal showed of its errors."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb") as screen:
        done = subprocess.run(
            [sys.executable, "-m", "flask", *map(str, command)],
            cwd=ROOT,
            env=os.environ | {"MOODFLIX_INSTANCE": str(instance)},
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            check=True,
        )
        os.close(theirs)
        shown = b""
        # A terminal whose other end is closed reads as an error.
        with contextlib.suppress(OSError):
            while piece := screen.read1():
                shown += piece
    return done.stdout, shown
