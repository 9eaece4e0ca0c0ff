"""A database and an instance folder of revision 0007, made by the code of commit a30323d, go on.

`tests/data/at_0007` holds what that code made in Asia/Seoul: the database, two models, and what its
commands exported and its dashboard showed.
"""

from __future__ import annotations

import io
import json
import lzma
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from flask import Flask
from sqlalchemy import select

from moodflix import create_app
from moodflix.config import Settings
from moodflix.errors import SchemaError
from moodflix.films import shipped, titles
from moodflix.store import migration, stats, sums
from moodflix.store.database import Database
from moodflix.store.models import Film, LogEntry
from tests.conftest import MakeApp, OncePerRun
from tests.server import ROOT

MADE = ROOT / "tests" / "data" / "at_0007"
# What clocks said that were wrong by years.
WRONG = ("2099-", "2.025E+13", "9999-")


def rows(path: Path, columns: dict[str, str]) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return the rows of some columns of each table, whatever their order."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: Counter(connection.execute(f"SELECT {names} FROM {table}"))
            for table, names in columns.items()
        }


def unpack(folder: Path) -> None:
    """Make an instance folder of revision 0007."""
    shutil.copytree(MADE / "models", folder / "models")
    (folder / "moodflix.sqlite3").write_bytes(
        lzma.decompress((MADE / "moodflix.sqlite3.xz").read_bytes())
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An instance folder of revision 0007."""
    unpack(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture(scope="module")
def at_head(once_per_run: OncePerRun) -> Path:
    """The instance folder after the commands of an upgrade."""

    def make(folder: Path) -> None:
        unpack(folder)
        app = create_app(Settings(instance=folder, llm="embedded", timezone="Asia/Seoul"))
        for word in ("upgrade", "check"):
            done = app.test_cli_runner().invoke(args=["db", word])
            assert done.exit_code == 0, done.output
        app.extensions["moodflix.db"].engine.dispose()

    return once_per_run("upgraded", make)


@pytest.fixture
def upgraded(at_head: Path, tmp_path: Path, make_app: MakeApp) -> Flask:
    shutil.copytree(at_head, tmp_path / "upgraded")
    return make_app(instance=tmp_path / "upgraded", timezone="Asia/Seoul")


def test_no_row_is_lost(old: Path, make_app: MakeApp) -> None:
    path = old / "moodflix.sqlite3"
    tables = ("logs", "answers", "answer_picks", "films", "feedback", "trainings")
    with closing(sqlite3.connect(path)) as connection:
        columns = {
            table: ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
            for table in tables
        }
    # What changes: a wrong clock's moment, and what films are called.
    columns["logs"] = columns["logs"].replace("event_at, ", "")
    columns = {table: names.replace("film_key, ", "") for table, names in columns.items()}
    named = rows(path, {"films": columns.pop("films").replace("id, ", "").split(", bundled")[0]})
    moments = {"logs": "id, client_sent_at, received_at, event_at"}
    before, sent = rows(path, columns), rows(path, moments)["logs"]
    assert len(before["logs"]) == 230
    migration.upgrade(make_app(instance=old).extensions["moodflix.db"])
    assert rows(path, columns) == before
    names = "film_names JOIN films ON films.id = film_id"
    assert named["films"] <= rows(path, {names: "key, title, films.year"})[names]
    changed = rows(path, moments)["logs"] - sent
    assert len(changed) >= 3
    for _, text, received_at, event_at in changed:
        assert text.startswith(WRONG)
        assert event_at == received_at


@pytest.mark.parametrize("name", ["logs", "feedback"])
def test_exports_are_the_same_bytes(upgraded: Flask, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.csv"
    args = [name, "export", *(["-o"] if name == "logs" else []), str(out)]
    done = upgraded.test_cli_runner().invoke(args=args)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == (MADE / f"{name}.csv").read_bytes()


def spelled(found: list[list[Any]]) -> Counter[tuple[str, str]]:
    """Return how often films of a spelling were chosen in each mood, as the old code counted."""
    counted: Counter[tuple[str, str]] = Counter()
    for mood, title, n in found:
        film = shipped.find(title)
        korean = film is not None and film.original_title == title
        counted[mood, film.key if film and korean else titles.key(title)] += n
    return counted


def test_the_dashboard_shows_the_same_but_films_apart(
    upgraded: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "_TOP", 100)
    shown: dict[str, dict[str, list[Any]]] = json.loads((MADE / "dashboard.json").read_text())
    with upgraded.extensions["moodflix.db"].read() as session:
        for days, tables in shown.items():
            first, last = map(date.fromisoformat, days.split())
            for name, expected in tables.items():
                found = [list(row) for row in stats.table(session, name, first, last).rows]
                if name == "films":
                    by_spelling, old = spelled(found), spelled(expected)
                    assert all(by_spelling[each] >= n for each, n in old.items()), days
                    assert all(by_spelling[each] == old[each] for each in old if each[1] == "dune")
                elif name in ("origins", "acceptance"):
                    # Choices of a film under its Korean name now count as from the answer.
                    assert sum(row[2] for row in found) >= sum(row[2] for row in expected)
                else:
                    assert found == expected, (name, days)
        assert stats.span(session) is not None


def test_films_of_one_spelling_are_told_apart(upgraded: Flask) -> None:
    chosen = select(LogEntry.movie_title, Film.title, Film.year).outerjoin(Film).distinct()
    with upgraded.extensions["moodflix.db"].read() as session:
        found = {tuple(row) for row in session.execute(chosen)}
        days = date(2020, 1, 1), date(2027, 1, 1)
        shown = {row[1] for row in stats.table(session, "films", *days).rows}
    assert {
        ("Taxi Driver", "Taxi Driver", 1976),
        ("A Taxi Driver", "A Taxi Driver", 2017),
        ("Dune (1984)", "Dune", 1984),
        ("Dune (2021)", "Dune", 2021),
        ("MOTHER", "Mother", 2009),
        ("mother!", None, None),
        ("기생충", "Parasite", 2019),
    } <= found
    assert {"Taxi Driver", "A Taxi Driver", "Dune", "Dune (1984)", "Mother", "mother!"} <= shown


def test_a_wrong_clock_counts_by_when_it_came(upgraded: Flask) -> None:
    with upgraded.extensions["moodflix.db"].read() as session:
        last = (stats.span(session) or (date.max, date.max))[1]
    assert last == date(2026, 11, 29)


def test_triggers_are_gone_and_nothing_is_of_one_database_alone(upgraded: Flask) -> None:
    with upgraded.extensions["moodflix.db"].read() as session:
        connection = session.connection()
        made = [str(row[0]) for row in connection.exec_driver_sql("SELECT sql FROM sqlite_master")]
    assert not [sql for sql in made if "TRIGGER" in sql or "WITHOUT ROWID" in sql]


@pytest.mark.parametrize("revision", ["0001", "0006"])
def test_an_older_database_is_told_what_to_do(old: Path, make_app: MakeApp, revision: str) -> None:
    with closing(sqlite3.connect(old / "moodflix.sqlite3")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()
    done = make_app(instance=old).test_cli_runner().invoke(args=["db", "upgrade"])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert revision in done.stderr
    assert "a30323d" in done.stderr


def test_an_upgrade_that_fails_changes_nothing(
    old: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_session: object) -> None:
        raise SchemaError("no")

    database: Database = make_app(instance=old).extensions["moodflix.db"]
    monkeypatch.setattr(sums, "rebuild", fail)
    with pytest.raises(SchemaError):
        migration.upgrade(database)
    assert migration.state(database)[0] == "0007"
    monkeypatch.undo()
    migration.upgrade(database)
    assert migration.differences(database) == []


def test_a_fresh_schema_can_be_made_on_postgresql() -> None:
    config = migration.alembic_config()
    config.attributes["dialect"] = "postgresql"
    config.output_buffer = out = io.StringIO()
    command.upgrade(config, "head", sql=True)
    made = out.getvalue()
    assert "CREATE TABLE logs" in made
    assert "SERIAL" in made
    assert "json_each" not in made
    assert "TRIGGER" not in made


def files(folder: Path) -> dict[str, bytes]:
    """Return the database and its log of writes; readers' marks stand in the third file."""
    return {
        name: (folder / name).read_bytes() for name in ("moodflix.sqlite3", "moodflix.sqlite3-wal")
    }


def test_an_upgrade_with_nothing_to_do_writes_nothing_and_waits_for_nobody(
    database: Database, instance: Path, make_app: MakeApp
) -> None:
    path = instance / "moodflix.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM feedback")
        before = files(instance)
        done = make_app().test_cli_runner().invoke(args=["db", "upgrade"])
        assert done.exit_code == 0, done.output
        assert "3287 films" in done.output
        assert files(instance) == before
