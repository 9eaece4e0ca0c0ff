from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.memory import flask

pytestmark = pytest.mark.slow

FEW, MANY = 20_000, 200_000
# Bytes that a row may take in memory: at a million rows an export would hold 150 MB, an import 250.
PER_ROW = {"export": 56, "import of equal rows": 150, "import": 150}


def filled(migrated: Path, folder: Path, rows: int) -> Path:
    """Make an instance folder with so many choices; some of them are equal."""
    folder.mkdir()
    copy = folder / "moodflix.sqlite3"
    copy.write_bytes(migrated.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO logs (client_sent_at, city, lat, lon, today_status, tomorrow_status,"
            " weekday, weather_desc, temperature, mood, tone, movie_title, received_at, event_at,"
            " film_key) "
            "SELECT '2025-10-01T12:' || printf('%02d', i / 2 % 60) || ':00Z', 'City ' || i % 100,"
            " '37.5665', '126.978', 'work', 'holiday', 'Friday', 'light rain', i / 2 % 30, 'sad',"
            " 'subdued', 'Film ' || i / 2, '2025-10-01 12:00:00', datetime(1.7e9 + i, 'unixepoch'),"
            " 'film ' || i / 2 FROM n WHERE i > 0",
            (rows,),
        )
        connection.commit()
    return folder


def digest(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def peaks(migrated: Path, folder: Path, rows: int) -> dict[str, int]:
    """Export and import so many rows; return the most memory that each command held, in MB."""
    folder.mkdir()
    first, second = folder / "first.csv", folder / "second.csv"
    full, empty = filled(migrated, folder / "full", rows), filled(migrated, folder / "empty", 0)
    peak = {}
    _, peak["export"] = flask(full, "logs", "export", "-o", first)
    with first.open("rb") as file:
        assert sum(1 for _ in file) == rows + 1

    said, peak["import of equal rows"] = flask(full, "logs", "import", first)
    assert said == f"0 rows added, {rows} already held, 0 rejected.\n"

    said, peak["import"] = flask(empty, "logs", "import", first)
    assert said == f"{rows} rows added, 0 already held, 0 rejected.\n"
    flask(empty, "logs", "export", "-o", second)
    assert digest(second) == digest(first)
    return peak


def test_many_rows_leave_and_come_back_in_the_memory_of_few(migrated: Path, tmp_path: Path) -> None:
    few = peaks(migrated, tmp_path / "few", FEW)
    many = peaks(migrated, tmp_path / "many", MANY)
    for command, allowed in PER_ROW.items():
        assert few[command] < 150
        assert (many[command] - few[command]) * 2**20 < allowed * (MANY - FEW), command
