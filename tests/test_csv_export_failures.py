"""An export that fails says why in one line, and leaves no file behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from moodflix import log_csv
from tests.server import ROOT

EXPORT = [sys.executable, "-m", "flask", "logs", "export"]


@pytest.fixture
def folder(cli: FlaskCliRunner, tmp_path: Path) -> Path:
    """An empty folder to export to, and a log with 3,000 rows."""
    path = tmp_path / "log.csv"
    path.write_text("".join(f"2025-10-01,,,,,,,,,sad,,Film {n}\n" for n in range(3_000)))
    assert cli.invoke(args=["logs", "import", str(path)]).exit_code == 0
    (tmp_path / "exports").mkdir()
    return tmp_path / "exports"


def run(instance: Path, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MOODFLIX_INSTANCE": str(instance)}
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


def test_a_full_disk_is_one_line(folder: Path, instance: Path) -> None:
    out = folder / "out.csv"
    # A file of at most 64 KiB can be written, as on a disk that is nearly full.
    limited = ["bash", "-c", 'ulimit -f 64; exec "$@"', "bash", *EXPORT, "-o", str(out)]
    done = run(instance, limited)
    assert done.returncode == 1
    assert done.stderr == f"Error: {out} can't be written: File too large\n"
    assert list(folder.iterdir()) == []


def test_a_full_stdout_is_one_line(folder: Path, instance: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(instance, EXPORT, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "Error: stdout can't be written: No space left on device\n"


def test_a_reader_that_has_enough_ends_the_export(folder: Path, instance: Path) -> None:
    command = ["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "bash", *EXPORT]
    done = run(instance, command)
    assert done.stdout.startswith("clientSentAt,city,")
    assert done.stderr == ""


def test_until_an_export_is_whole_it_has_no_name(
    folder: Path, cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that nothing is left of one that is killed.
    seen: list[list[Path]] = []

    def write(rows: Iterable[Sequence[str]], *args: Any, **options: Any) -> int:
        count = write_all(rows, *args, **options)
        seen.append(list(folder.iterdir()))
        return count

    write_all = log_csv.write
    monkeypatch.setattr(log_csv, "write", write)
    out = folder / ("long name " * 25)
    assert cli.invoke(args=["logs", "export", "-o", str(out)]).exit_code == 0
    assert seen == [[]]
    assert list(folder.iterdir()) == [out]
    assert len(out.read_text().splitlines()) == 3_001


def test_an_export_that_ends_midway_leaves_nothing_without_unnamed_files(
    folder: Path, cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a file system that has none.
    monkeypatch.delattr(os, "O_TMPFILE")

    def write(_: Iterable[Sequence[str]], *__: Any, **___: Any) -> int:
        assert len(list(folder.iterdir())) == 1
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(log_csv, "write", write)
        done = cli.invoke(args=["logs", "export", "-o", str(folder / "out.csv")])
    assert done.stderr == f"Error: {folder}/out.csv can't be written: Input/output error\n"
    assert list(folder.iterdir()) == []
    assert cli.invoke(args=["logs", "export", "-o", str(folder / "out.csv")]).exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["out.csv"]


def test_a_link_to_itself_is_replaced(folder: Path, cli: FlaskCliRunner) -> None:
    loop = folder / "loop"
    loop.symlink_to(loop)
    assert cli.invoke(args=["logs", "export", "-o", str(loop)]).exit_code == 0
    assert [path.is_file() for path in folder.iterdir()] == [True]


def test_a_damaged_database_is_one_line(folder: Path, instance: Path) -> None:
    path = instance / "moodflix.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'logs'").fetchone()[
        0
    ]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    done = run(instance, [*EXPORT, "-o", str(folder / "out.csv")])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: the database ")
    assert list(folder.iterdir()) == []
