from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from alembic import command
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import inspect, text

from moodflix.errors import SchemaError
from moodflix.requests import FeedbackRequest
from moodflix.store import feedback, migration
from moodflix.store.database import Database
from moodflix.store.models import Base, Film
from tests.conftest import MakeApp


def test_models_and_migrations_agree(database: Database) -> None:
    assert migration.differences(database) == []
    names = set(inspect(database.engine).get_table_names())
    assert names == {*Base.metadata.tables, "alembic_version"}


def test_a_difference_is_seen(database: Database, cli: FlaskCliRunner) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_logs_event_at"))
    done = cli.invoke(args=["db", "check"])
    assert done.exit_code == 1
    assert "ix_logs_event_at" in done.stderr
    assert done.stderr.count("\n") == 1


def test_migrations_go_down_and_up_again(database: Database) -> None:
    config = migration.alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert migration.state(database)[0] is None
    assert migration.upgrade(database) > 400
    assert migration.differences(database) == []


def test_a_downgrade_keeps_one_verdict_where_titles_are_one_again(database: Database) -> None:
    with database.write() as session:
        for title in ("mother! (2017)", "Mother (2009)"):
            verdict = {"visitor": "visitor-1", "movieTitle": title, "verdict": "loved"}
            feedback.save(
                session.connection(),
                FeedbackRequest.model_validate(verdict),
                datetime.now(timezone.utc),
            )
    config = migration.alembic_config()
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.downgrade(config, "0008")
    with database.read() as session:
        assert session.scalars(text("SELECT film_key FROM feedback")).all() == ["mother"]


def test_the_file_survives_a_power_cut_by_its_settings(database: Database) -> None:
    with database.engine.connect() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 120_000]


def test_upgrade_makes_the_folder_and_is_repeatable(make_app: MakeApp, tmp_path: Path) -> None:
    cli = make_app(instance=tmp_path / "new" / "folder").test_cli_runner()
    assert cli.invoke(args=["db", "current"]).output.startswith("not migrated")
    assert not (tmp_path / "new").exists()
    for _ in range(2):
        done = cli.invoke(args=["db", "upgrade"])
        assert done.exit_code == 0, done.output
    assert cli.invoke(args=["db", "check"]).exit_code == 0
    assert cli.invoke(args=["db", "current"]).output.endswith("(newest)\n")


def test_a_newer_database_is_refused(database: Database, cli: FlaskCliRunner) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for words in (["db", "upgrade"], ["db", "check"], ["logs", "export"]):
        done = cli.invoke(args=words)
        assert done.exit_code == 1
        assert "9999" in done.stderr
        assert done.stderr.count("\n") == 1
    with pytest.raises(SchemaError):
        migration.require_newest(database)


def test_an_unmigrated_database_is_not_ready(make_app: MakeApp, tmp_path: Path) -> None:
    client: FlaskClient = make_app(instance=tmp_path / "none").test_client()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "flask db upgrade" in answer.get_json()["database"]["detail"]


def test_films_are_unique_on_title_and_year(database: Database) -> None:
    indexes = inspect(database.engine).get_unique_constraints(Film.__tablename__)
    assert [each["column_names"] for each in indexes] == [["film_key"]]
