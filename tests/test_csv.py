from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from tests.server import ROOT

MakeApp = Callable[..., Flask]
Logs = Callable[..., Result]

DOCUMENTED = (
    "clientSentAt,city,lat,lon,today_status,tomorrow_status,weekday,weather_desc,temperature,"
    "mood,tone,movie_title"
)
LEGACY = (
    "timestamp,city,latitude,longitude,today_status,tomorrow_status,weekday,weather_desc,"
    "temperature,mood,voice_tone,movie_selected"
)
EXAMPLE = (
    "2025-10-01T12:00:00Z,San Francisco,37.123,-122.123,work,holiday,Wednesday,clear,22,"
    "nostalgic,calm,The Matrix"
)


def line(title: str, sent_at: str = "2025-10-01T12:00:00Z") -> str:
    return f"{sent_at},Seoul,37.5,127.0,work,work,Friday,clear,12,sad,subdued,{title}"


@pytest.fixture
def logs(cli: FlaskCliRunner) -> Logs:
    """Run `flask logs ...`."""

    def run(*args: object) -> Result:
        return cli.invoke(args=["logs", *map(str, args)])

    return run


@pytest.fixture
def log_file(tmp_path: Path) -> Callable[[bytes | str], Path]:
    def write(content: bytes | str) -> Path:
        path = tmp_path / "old.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


LogFile = Callable[[bytes | str], Path]


def titles(client: FlaskClient) -> list[str]:
    rows: list[dict[str, Any]] = client.get("/inference/log?limit=10000").get_json()
    return [row["movie_title"] for row in rows]


def test_it_exports_the_documented_header_and_rows(logs: Logs, client: FlaskClient) -> None:
    client.post(
        "/inference/log",
        json={
            "clientSentAt": "2025-10-01T12:00:00Z",
            "movieTitle": "The Matrix",
            "mood": "nostalgic",
            "tone": "calm",
            "env": {
                "temperature": "22",
                "lat": 37.123,
                "lon": "-122.123",
                "city": "San Francisco",
                "weather_desc": "clear",
                "today_status": "work",
                "tomorrow_status": "holiday",
                "weekday": "Wednesday",
            },
        },
    )
    done = logs("export")
    assert done.exit_code == 0
    assert done.stdout_bytes.decode() == f"{DOCUMENTED}\n{EXAMPLE}\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("header", "first"), [("documented", DOCUMENTED), ("legacy", LEGACY), ("none", EXAMPLE)]
)
def test_it_exports_either_header_or_none(
    logs: Logs, log_file: LogFile, header: str, first: str
) -> None:
    logs("import", log_file(EXAMPLE))
    assert logs("export", "--header", header).stdout.splitlines()[0] == first


@pytest.mark.parametrize(("mark", "end"), [("", "\n"), ("\ufeff", "\r\n"), ("\ufeff", "\n")])
@pytest.mark.parametrize("header", [DOCUMENTED, LEGACY, "", f'"{DOCUMENTED}"'.replace(",", '","')])
def test_it_imports_either_header_or_none_whatever_the_line_ends(
    cli: FlaskCliRunner, log_file: LogFile, header: str, mark: str, end: str
) -> None:
    lines = [header, line("Mother"), "", line('"Two\nlines, ""quoted"""'), line("Burning")]
    path = log_file(mark + end.join(lines[0 if header else 1 :]))
    done = cli.invoke(args=["logs", "import", str(path)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "3 rows added, 0 already held, 0 rejected.\n"
    client = cli.app.test_client()
    assert titles(client) == ["Mother", 'Two\nlines, "quoted"', "Burning"]
    assert client.get("/inference/log").get_json()[0]["clientSentAt"] == "2025-10-01T12:00:00Z"


def test_it_keeps_the_spelling_of_each_era_and_knows_the_film(
    logs: Logs, client: FlaskClient, log_file: LogFile, instance: Path
) -> None:
    spellings = ['"""Mother"""', "MOTHER", "Mother (2009)", "“Mother”"]
    assert logs("import", log_file("\n".join(map(line, spellings)))).exit_code == 0
    assert titles(client) == ['"Mother"', "MOTHER", "Mother (2009)", "“Mother”"]
    with sqlite3.connect(instance / "moodflix.sqlite3") as connection:
        keys = connection.execute("SELECT DISTINCT film_key FROM logs").fetchall()
    connection.close()
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("one,two", "expected 12 columns, found 2"),
        (line("Mother") + ",more", "expected 12 columns, found 13"),
        (line(""), "movie_title: must not be empty"),
        (line("  "), "movie_title: must not be empty"),
        (line("x" * 301), "movie_title: "),
        (line("Mother", "9" * 201), "at most 200"),
        (line("x" * 30_000), "the row is too long; is a quote never closed?"),
        (line('"Mother'), "a quote is never closed"),
        (line('"Mother" (2009)'), "',' expected after '\"'"),
        (line("Mot\rher"), "a carriage return stands outside quotes"),
        (line("Mot\0her"), "must not contain NUL characters"),
        (line("Mot\udcffher"), "movie_title:"),
    ],
)
def test_it_reports_a_row_that_cannot_be_taken_and_keeps_its_bytes(
    logs: Logs, client: FlaskClient, log_file: LogFile, bad: str, reason: str
) -> None:
    raw = bad.encode(errors="surrogateescape")
    lines = [DOCUMENTED.encode(), line("Before").encode(), raw, line("After").encode()]
    path = log_file(b"\r\n".join(lines) + b"\r\n")
    done = logs("import", path)
    assert done.exit_code == 1
    assert done.stdout == "2 rows added, 0 already held, 1 rejected.\n"
    first, last = done.stderr.splitlines()
    assert first.startswith("line 3: ")
    assert reason in first
    assert last == f"Error: 1 rows can't be taken; they are in {path}.rejects"
    assert titles(client) == ["Before", "After"]
    assert path.with_name("old.csv.rejects").read_bytes() == raw + b"\r\n"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_unclosed_quote_takes_no_other_row_with_it(
    logs: Logs, client: FlaskClient, log_file: LogFile, place: int
) -> None:
    lines = [line("A"), line('"B, really"'), line("C"), line("D")]
    lines.insert(place, line('"Mother'))
    done = logs("import", log_file("\n".join(lines)))
    assert f"line {place + 1}: " in done.stderr
    assert titles(client) == ["A", "B, really", "C", "D"]


def test_a_rejected_row_of_many_lines_is_kept_whole(
    logs: Logs, client: FlaskClient, log_file: LogFile
) -> None:
    long = line('"' + "a\n\n" * 120 + '"')
    short = '"a\n\nb",c'
    path = log_file(f"{long}\n{short}\n{line('Mother')}\n{short}")
    done = logs("import", path)
    assert [each.split(":")[0] for each in done.stderr.splitlines()[:3]] == [
        "line 1",
        "line 242",
        "line 244",
    ]
    assert titles(client) == ["Mother"]
    kept = path.with_name("old.csv.rejects").read_text()
    assert kept == f"{long}\n{short}\n{short}"


def test_rejects_can_be_mended_and_imported(
    logs: Logs, client: FlaskClient, log_file: LogFile, tmp_path: Path
) -> None:
    rejects = tmp_path / "bad rows.csv"
    path = log_file("\n".join([line("Mother"), "x" * 50_000, line('"Two\nlines",')]))
    assert logs("import", path, "--rejects", rejects).exit_code == 1
    kept = rejects.read_text()
    assert kept == "x" * 50_000 + "\n" + line('"Two\nlines",')
    rejects.write_text(kept.replace("x" * 50_000, line("Burning")).removesuffix(","))
    assert logs("import", rejects).exit_code == 0
    assert titles(client) == ["Mother", "Burning", "Two\nlines"]


def test_it_names_the_first_rejects_and_counts_the_others(logs: Logs, log_file: LogFile) -> None:
    path = log_file("bad\n" * 100)
    done = logs("import", path)
    lines = done.stderr.splitlines()
    assert [each.split(":")[0] for each in lines[:20]] == [f"line {n}" for n in range(1, 21)]
    assert lines[20] == "further rejected lines are only counted"
    assert lines[21].startswith("Error: 100 rows")
    assert path.with_name("old.csv.rejects").read_bytes() == b"bad\n" * 100


def test_it_never_writes_rejects_over_the_file_it_reads(logs: Logs, log_file: LogFile) -> None:
    path = log_file("bad\n")
    done = logs("import", path, "--rejects", path)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert path.read_bytes() == b"bad\n"


def test_importing_twice_adds_nothing_and_twins_in_one_file_survive(
    logs: Logs, client: FlaskClient, log_file: LogFile
) -> None:
    path = log_file("\n".join([line("Mother"), line("Mother"), line("Burning")]))
    first, second = logs("import", path), logs("import", path)
    assert first.stdout == "3 rows added, 0 already held, 0 rejected.\n"
    assert second.stdout == "0 rows added, 3 already held, 0 rejected.\n"
    assert (first.exit_code, second.exit_code) == (0, 0)
    more = log_file("\n".join([line("Mother")] * 3 + [line("Mother", "1759320000")]))
    assert logs("import", more).stdout == "2 rows added, 2 already held, 0 rejected.\n"
    assert titles(client) == ["Mother", "Mother", "Burning", "Mother", "Mother"]


def test_a_dry_run_changes_nothing(logs: Logs, client: FlaskClient, log_file: LogFile) -> None:
    path = log_file(f"{line('Mother')}\nbad\n")
    done = logs("import", "--dry-run", path)
    assert done.exit_code == 1
    assert done.stdout == "1 rows would be added, 0 already held, 1 rejected.\n"
    assert "line 2: expected 12 columns, found 1" in done.stderr
    assert titles(client) == []
    assert not path.with_name("old.csv.rejects").exists()
    assert logs("import", path).stdout == "1 rows added, 0 already held, 1 rejected.\n"


def test_an_import_that_fails_midway_changes_nothing(
    logs: Logs, client: FlaskClient, log_file: LogFile, instance: Path, tmp_path: Path
) -> None:
    rows = [line(f"Film {place}") for place in range(5_000)]
    done = logs("import", log_file("\n".join([*rows, "bad"])), "--rejects", tmp_path / "no" / "x")
    assert done.exit_code == 1
    assert "No such file or directory" in done.stderr
    assert titles(client) == []

    with sqlite3.connect(instance / "moodflix.sqlite3") as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON logs WHEN NEW.movie_title = 'Film 4000' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    path = log_file("\n".join(rows))
    assert logs("import", path).exit_code == 1
    assert titles(client) == []
    connection.execute("DROP TRIGGER refuse")
    connection.close()
    assert logs("import", path).stdout == "5000 rows added, 0 already held, 0 rejected.\n"


def test_it_exports_to_a_file(logs: Logs, log_file: LogFile, tmp_path: Path) -> None:
    mother = line('"Mother, “마더”"')
    logs("import", log_file(mother))
    out = tmp_path / "out.csv"
    out.write_text("old")
    done = logs("export", "-o", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"Exported 1 rows to {out}.\n"
    assert out.read_bytes().decode() == f"{DOCUMENTED}\n{mother}\n"


def test_an_export_that_fails_midway_leaves_the_old_file(
    logs: Logs, log_file: LogFile, instance: Path, tmp_path: Path
) -> None:
    logs("import", log_file("\n".join(line(f"Film {place}") for place in range(5_000))))
    # Text that isn't UTF-8 can't be read back: the cursor fails at this row.
    connection = sqlite3.connect(instance / "moodflix.sqlite3")
    connection.execute("UPDATE logs SET city = CAST(X'FF' AS TEXT) WHERE movie_title = 'Film 4500'")
    connection.commit()
    connection.close()
    folder = tmp_path / "exports"
    folder.mkdir()
    out = folder / "out.csv"
    out.write_text("old")
    done = logs("export", "-o", out)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert out.read_text() == "old"
    assert list(folder.iterdir()) == [out]


def test_an_export_writes_through_what_is_no_regular_file(
    logs: Logs, log_file: LogFile, tmp_path: Path
) -> None:
    logs("import", log_file(line("Mother")))
    null = tmp_path / "null"
    null.symlink_to(os.devnull)
    assert logs("export", "-o", null).exit_code == 0
    assert null.is_symlink()
    assert not Path(os.devnull).is_file()


def test_an_export_to_a_folder_that_is_not_there_is_one_line(logs: Logs, tmp_path: Path) -> None:
    done = logs("export", "-o", tmp_path / "no" / "out.csv")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"Error: {tmp_path}/no/out.csv can't be written: No such file or directory"
    ]


def test_stdout_gets_the_same_bytes_whatever_the_locale(
    logs: Logs, log_file: LogFile, instance: Path
) -> None:
    logs("import", log_file(line('"마더\r\n🎬"')))
    done = subprocess.run(
        [sys.executable, "-m", "flask", "logs", "export", "--header", "none"],
        cwd=ROOT,
        env=os.environ
        | {"MOODFLIX_INSTANCE": str(instance), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == (line('"마더\r\n🎬"') + "\n").encode()


def test_spreadsheet_safe_disarms_formulas_and_leaves_numbers(
    logs: Logs, log_file: LogFile
) -> None:
    logs("import", log_file(line("=cmd()", "-1").replace("37.5", "-37.5").replace("sad", "@sad")))
    plain, safe = (
        logs("export", "--header", "none"),
        logs("export", "--header", "none", "--spreadsheet-safe"),
    )
    assert plain.stdout.rstrip().split(",")[-1] == "=cmd()"
    cells = safe.stdout.rstrip().split(",")
    assert (cells[0], cells[2], cells[9], cells[11]) == ("-1", "-37.5", "'@sad", "'=cmd()")


def test_it_imports_the_csv_of_the_settings_when_no_file_is_named(
    make_app: MakeApp, log_file: LogFile
) -> None:
    app = make_app(csv_file=log_file(line("Mother")))
    done = app.test_cli_runner().invoke(args=["logs", "import"])
    assert (done.exit_code, done.stdout) == (0, "1 rows added, 0 already held, 0 rejected.\n")
    assert titles(app.test_client()) == ["Mother"]


def test_a_file_that_is_not_there_is_one_line(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(csv_file=tmp_path / "none.csv")
    done = app.test_cli_runner().invoke(args=["logs", "import"])
    assert done.exit_code == 1
    assert done.stderr == f"Error: {tmp_path}/none.csv can't be read: No such file or directory\n"


@pytest.mark.parametrize("command", ["export", "import"])
def test_an_unmigrated_database_is_one_line_that_says_what_to_run(
    make_app: MakeApp, log_file: LogFile, tmp_path: Path, command: str
) -> None:
    app = make_app(instance=tmp_path / "new", csv_file=log_file(line("Mother")))
    done = app.test_cli_runner().invoke(args=["logs", command])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: the database is not migrated; run: flask db upgrade\n"


def test_it_imports_from_a_pipe(instance: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "logs", "import", "/dev/stdin"],
        cwd=ROOT,
        env=os.environ | {"MOODFLIX_INSTANCE": str(instance)},
        input=line("Mother").encode(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"1 rows added, 0 already held, 0 rejected.\n"
