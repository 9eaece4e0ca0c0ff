"""Taking an import back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix.store.database import Database
from moodflix.store.logs import ChoiceCounts


def imported(cli: FlaskCliRunner, tmp_path: Path, *titles: str) -> str:
    path = tmp_path / "old.csv"
    path.write_text("".join(f"2025-10-01T12:00:00Z,,,,,,,,,sad,,{title}\n" for title in titles))
    done = cli.invoke(args=["logs", "import", str(path)])
    assert done.exit_code == 0, done.output
    return done.stdout


def undo(cli: FlaskCliRunner) -> Result:
    return cli.invoke(args=["logs", "undo-import"])


def choose(client: FlaskClient, title: str) -> None:
    body = {"movieTitle": title, "mood": "sad"}
    assert client.post("/inference/log", json=body).status_code == 200


def titles(client: FlaskClient) -> list[str]:
    return [row["movie_title"] for row in client.get("/inference/log").get_json()]


def sums(instance: Path) -> list[list[Any]]:
    connection = sqlite3.connect(instance / "moodflix.sqlite3")
    found = [
        connection.execute(f"SELECT * FROM {table} WHERE {n} <> 0 ORDER BY 1, 2, 3, 4").fetchall()
        for table, n in (("tallies", "n"), ("film_tallies", "to_36"))
    ]
    connection.close()
    return found


def test_it_takes_the_last_import_back_and_keeps_all_else(
    cli: FlaskCliRunner,
    client: FlaskClient,
    make_app: Callable[..., Flask],
    instance: Path,
    tmp_path: Path,
) -> None:
    imported(cli, tmp_path, "Mother", "Burning")
    choose(client, "Parasite")
    counted = sums(instance)
    assert imported(cli, tmp_path, "Mother", "Okja", "Oldboy").startswith("2 rows added, 1 already")
    # What adds nothing is no import to take back.
    imported(cli, tmp_path, "Mother", "Okja")
    cli.invoke(args=["logs", "import", "--dry-run", str(tmp_path / "old.csv")])

    restarted = make_app().test_cli_runner()
    done = undo(restarted)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("2 rows of the import of 2")
    assert titles(client) == ["Mother", "Burning", "Parasite"]
    assert sums(instance) == counted

    choose(client, "Snowpiercer")
    assert undo(restarted).stdout.startswith("2 rows of the import of 2")
    assert titles(client) == ["Parasite", "Snowpiercer"]
    after = sums(instance)
    assert cli.invoke(args=["stats", "rebuild"]).exit_code == 0
    assert sums(instance) == after

    done = undo(restarted)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: there is no import to take back\n"


def test_an_import_taken_back_can_be_imported_again(
    cli: FlaskCliRunner, client: FlaskClient, tmp_path: Path
) -> None:
    for _ in range(3):
        assert imported(cli, tmp_path, "Mother", "Mother").startswith("2 rows added, 0 already")
        assert undo(cli).stdout.startswith("2 rows of the import")
        choose(client, "Parasite")
    assert titles(client) == ["Parasite"] * 3


def test_what_was_chosen_here_forgets_it_at_once(
    cli: FlaskCliRunner, client: FlaskClient, database: Database, tmp_path: Path
) -> None:
    counts = ChoiceCounts()
    imported(cli, tmp_path, "Some Film", "Some Film")
    choose(client, "Some Film")
    for n in (3, 1):
        with database.read() as session:
            assert counts.of(session, ["some film"])["some film"]["sad"] == n
        undo(cli)
