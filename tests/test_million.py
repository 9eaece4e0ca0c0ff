from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.server import ROOT

pytestmark = pytest.mark.slow

ROWS = 1_000_000
# Linux counts into a child's ru_maxrss what its parent held before exec; VmHWM is its own alone.
RUN = """
import atexit, re, sys
from pathlib import Path
status = Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:.*", status.read_text())[0], file=sys.stderr))
from flask.cli import main
main()
"""


@pytest.fixture(scope="module")
def million(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder with a million choices; some of them are equal."""
    folder = tmp_path_factory.mktemp("million")
    copy = folder / "moodflix.sqlite3"
    copy.write_bytes(migrated.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO logs (client_sent_at, city, lat, lon, today_status, tomorrow_status,"
            " weekday, weather_desc, temperature, mood, tone, movie_title, received_at, event_at,"
            " film_key) "
            "SELECT '2025-10-01T12:' || printf('%02d', i / 2 % 60) || ':00Z', 'City ' || i % 100,"
            " '37.5665', '126.978', 'work', 'holiday', 'Friday', 'light rain', i / 2 % 30, 'sad',"
            " 'subdued', 'Film ' || i / 2, '2025-10-01 12:00:00', datetime(1.7e9 + i, 'unixepoch'),"
            " 'film ' || i / 2 FROM n",
            (ROWS,),
        )
        connection.commit()
    return folder


def flask(instance: Path, *args: object) -> tuple[str, int]:
    """Run a command; return what it printed and the most memory it held, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, args)],
        cwd=ROOT,
        env=os.environ | {"MOODFLIX_INSTANCE": str(instance)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak = re.search(r"VmHWM:\s*(\d+) kB", done.stderr)
    assert peak, done.stderr
    return done.stdout, int(peak[1]) // 1024


def digest(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def test_a_million_rows_leave_and_come_back_in_bounded_memory(
    million: Path, instance: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    _, peak = flask(million, "logs", "export", "-o", first)
    assert peak < 150
    with first.open("rb") as file:
        assert sum(1 for _ in file) == ROWS + 1

    said, peak = flask(million, "logs", "import", first)
    assert said == f"0 rows added, {ROWS} already held, 0 rejected.\n"
    assert peak < 250

    said, peak = flask(instance, "logs", "import", first)
    assert said == f"{ROWS} rows added, 0 already held, 0 rejected.\n"
    assert peak < 250
    flask(instance, "logs", "export", "-o", second)
    assert digest(second) == digest(first)
