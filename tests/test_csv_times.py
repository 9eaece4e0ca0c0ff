"""Times of an import: which are read, and which are counted as not readable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner

NOTE = "have no readable time; dated at import"


def imported(cli: FlaskCliRunner, tmp_path: Path, times: Sequence[str], *options: str) -> str:
    """Import a row for each time; return what stderr has."""
    path = tmp_path / "old.csv"
    lines = (f'"{time}"{"," * 11}Film {at}\n' for at, time in enumerate(times))
    path.write_text("".join(lines), encoding="utf-8")
    done = cli.invoke(args=["logs", "import", str(path), *options])
    assert done.exit_code == 0, done.output
    return done.stderr


def films_of_minute(cli: FlaskCliRunner, minute: str) -> list[str]:
    """The films that were chosen in a minute."""
    options = ["--since", f"{minute}:00Z", "--until", f"{minute}:59Z"]
    done = cli.invoke(args=["logs", "export", "--header", "none", *options])
    assert done.exit_code == 0, done.output
    return [line.rsplit(",", 1)[1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("time", ["26:18.4", "########", "45970.2264", "", "2/30/2025", "1/2/25"])
def test_a_time_that_cannot_be_read_is_counted_and_named(
    cli: FlaskCliRunner, tmp_path: Path, time: str
) -> None:
    times = ["2025-10-01T12:00:00Z", *[time] * 12]
    note = imported(cli, tmp_path, times, "--dry-run")
    assert note.startswith(f"12 rows {NOTE} (the first: '{time}'; ")
    assert len(note.splitlines()) == 1
    assert imported(cli, tmp_path, times) == note
    assert films_of_minute(cli, "2025-10-01T12:00") == ["Film 0"]
    # Those that are held already are not dated again.
    assert imported(cli, tmp_path, times) == ""


@pytest.mark.parametrize(
    "time",
    [
        "2025-10-01 15:04",
        "2025/10/1 15:04",
        "2025-10-01 오후 3:04:05",
        "2025. 10. 1. 오후 3:04",
        "2025/10/01 3:04:05 PM",
        "1.10.2025 15:04",
        "01.10.2025 15:04:05",
    ],
)
def test_a_day_without_doubt_is_read(cli: FlaskCliRunner, tmp_path: Path, time: str) -> None:
    assert imported(cli, tmp_path, [time]) == ""
    assert films_of_minute(cli, "2025-10-01T15:04") == ["Film 0"]


@pytest.mark.parametrize(
    ("times", "minute"),
    [
        (["10/1/2025 15:04", "10/13/2025 0:00"], "2025-10-01T15:04"),
        (["10/1/2025, 3:04:05 PM", "10/13/2025"], "2025-10-01T15:04"),
        (["10/1/2025 12:04 AM", "10/13/2025"], "2025-10-01T00:04"),
        (["1/10/2025 15:04", "13/10/2025 9:00"], "2025-10-01T15:04"),
        (["01-10-2025 15:04", "31-12-2025 9:00"], "2025-10-01T15:04"),
        (["3/3/2025 15:04"], "2025-03-03T15:04"),
    ],
)
def test_the_column_tells_day_from_month(
    cli: FlaskCliRunner, tmp_path: Path, times: list[str], minute: str
) -> None:
    assert imported(cli, tmp_path, times) == ""
    assert films_of_minute(cli, minute) == ["Film 0"]


@pytest.mark.parametrize("times", [["10/1/2025"], ["1/10/2025", "1/13/2025", "13/1/2025"]])
def test_a_day_in_doubt_is_not_read(cli: FlaskCliRunner, tmp_path: Path, times: list[str]) -> None:
    # The rows that leave no doubt by themselves are read with either.
    assert imported(cli, tmp_path, ["2025/10/1 15:04", *times]).startswith(
        f"{len(times)} rows {NOTE}"
    )
    assert films_of_minute(cli, "2025-10-01T15:04") == ["Film 0"]


def test_the_text_of_a_time_stays_as_it_was(cli: FlaskCliRunner, tmp_path: Path) -> None:
    imported(cli, tmp_path, ["10/13/2025 3:04 PM", "########"])
    done = cli.invoke(args=["logs", "export", "--header", "none"])
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == [
        "10/13/2025 3:04 PM",
        "########",
    ]
