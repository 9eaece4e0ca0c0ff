"""The database file is replaced, or its folder goes, while a station has it open."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from moodflix.store.database import Database
from tests.conftest import MakeApp

ANOTHER = "the database file is another one than at the start; start the station again"
OTHERS = [f"Other {place}" for place in range(300)]
GONE = "the database file is gone; put it back, or restore a backup and start the station again"


def save(client: FlaskClient, title: str) -> None:
    assert client.post("/inference/log", json={"movieTitle": title}).status_code == 200


def saved(client: FlaskClient) -> list[str]:
    answered = client.get("/inference/log?limit=1000")
    assert answered.status_code == 200
    return [row["movieTitle"] for row in answered.get_json()]


def stop(app: Flask) -> None:
    database: Database = app.extensions["moodflix.db"]
    database.close()


def require_refusal(client: FlaskClient, reason: str) -> None:
    refused = client.post("/inference/log", json={"movieTitle": "Lost"})
    assert (refused.status_code, refused.get_json()) == (
        500,
        {"error": f"Database failed: {reason}"},
    )
    assert client.get("/inference/log").status_code == 500
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.get_json()["database"] == {"status": "down", "detail": reason}
    answered: dict[str, Any] = client.post("/inference", json={}).get_json()
    assert len(answered["movies"]) == 10
    assert any(reason in line for line in answered["warnings"])


@pytest.fixture
def other(make_app: MakeApp, tmp_path: Path, migrated: Path) -> Path:
    """A database of another station, with 300 choices in it."""
    folder = tmp_path / "other"
    folder.mkdir()
    shutil.copy(migrated, folder)
    app = make_app(instance=folder)
    rows = "".join(f"2025-10-01T18:30:00Z{',' * 11}{title}\n" for title in OTHERS)
    (folder / "others.csv").write_text(rows)
    done = app.test_cli_runner().invoke(args=["logs", "import", str(folder / "others.csv")])
    assert done.exit_code == 0, done.output
    stop(app)
    return folder / "moodflix.sqlite3"


@pytest.mark.parametrize("notices", [True, False])
def test_a_database_moved_into_place_is_left_alone_until_the_next_start(
    make_app: MakeApp,
    instance: Path,
    other: Path,
    tmp_path: Path,
    notices: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    app = make_app()
    client = app.test_client()
    for place in range(20):
        save(client, f"Film {place}")
    (instance / "moodflix.sqlite3").rename(tmp_path / "before.sqlite3")
    other.rename(instance / "moodflix.sqlite3")
    if notices:
        require_refusal(client, ANOTHER)
    stop(app)
    again = make_app().test_client()
    assert saved(again) == OTHERS
    save(again, "Mother")
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_choices_saved_before_are_all_in_the_file_moved_away(
    make_app: MakeApp, instance: Path, other: Path, tmp_path: Path
) -> None:
    app = make_app()
    client = app.test_client()
    titles = [f"Film {place}" for place in range(20)]
    for title in titles:
        save(client, title)
    before = (instance / "moodflix.sqlite3").rename(tmp_path / "before.sqlite3")
    other.rename(instance / "moodflix.sqlite3")
    require_refusal(client, ANOTHER)
    with closing(sqlite3.connect(before)) as connection:
        rows = connection.execute("SELECT movie_title FROM logs ORDER BY id")
        assert [row[0] for row in rows] == titles


def test_a_command_run_after_the_move_finds_the_new_database_whole(
    make_app: MakeApp, instance: Path, other: Path
) -> None:
    client = make_app().test_client()
    for place in range(20):
        save(client, f"Film {place}")
    other.replace(instance / "moodflix.sqlite3")
    require_refusal(client, ANOTHER)
    done = make_app().test_cli_runner().invoke(args=["logs", "export", "--header", "none"])
    assert done.exit_code == 0, done.output
    assert [line.rpartition(",")[2] for line in done.stdout.splitlines()] == OTHERS


def test_the_folder_goes_and_comes_back(
    client: FlaskClient, instance: Path, tmp_path: Path
) -> None:
    save(client, "Mother")
    instance.rename(tmp_path / "elsewhere")
    require_refusal(client, GONE)
    assert not instance.exists()
    (tmp_path / "elsewhere").rename(instance)
    save(client, "Parasite")
    assert saved(client) == ["Mother", "Parasite"]
    assert client.get("/readyz").status_code == 200


def test_a_choice_is_not_confirmed_if_the_file_went_while_it_was_saved(
    client: FlaskClient, instance: Path, other: Path, database: Database
) -> None:
    save(client, "Mother")
    with pytest.raises(Exception, match=ANOTHER), database.write():
        other.replace(instance / "moodflix.sqlite3")
