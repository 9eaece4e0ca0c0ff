from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from moodflix.db import Database
from tests.conftest import MakeApp
from tests.examined import STATION, Examined, make_roomy, set_free_disk


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return make_roomy(monkeypatch, tmp_path)


def test_it_does_not_ask_an_llm_that_is_off(make_app: MakeApp) -> None:
    found = Examined(make_app, "--pull", llm="embedded")
    assert (found.exit_code, found.wrong()) == (0, set())
    assert found.says("ollama") == ("ok", "not asked: MOODFLIX_LLM=embedded")
    assert found.checks.keys() == STATION


def test_it_says_so_when_there_is_no_database(make_app: MakeApp, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "instance"
    found = Examined(make_app, instance=folder)
    assert (found.exit_code, found.wrong()) == (1, {"database"})
    assert found.says("database")[1] == f"{folder}/moodflix.sqlite3 does not exist"
    assert found.remedy("database") == "flask db upgrade"
    assert found.says("disk")[0] == "ok"
    assert not folder.exists()


def test_it_says_so_when_the_database_is_not_migrated(make_app: MakeApp, instance: Path) -> None:
    (instance / "moodflix.sqlite3").write_bytes(b"")
    found = Examined(make_app)
    assert (found.exit_code, found.wrong()) == (1, {"migrations"})
    assert found.says("migrations") == ("broken", "not migrated")
    assert found.remedy("migrations") == "flask db upgrade"


def test_it_says_so_when_the_database_is_too_new(make_app: MakeApp, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    found = Examined(make_app)
    assert (found.exit_code, found.wrong()) == (1, {"migrations"})
    assert "from_the_future, which this version doesn't know" in found.says("migrations")[1]
    assert found.remedy("migrations").startswith("git pull")


def test_it_says_so_when_the_database_is_damaged(make_app: MakeApp, instance: Path) -> None:
    (instance / "moodflix.sqlite3").write_bytes(b"not a database at all, by no means" * 100)
    found = Examined(make_app)
    assert (found.exit_code, found.wrong()) == (1, {"database"})
    assert found.says("database")[1].endswith("the database file is damaged")


@pytest.mark.parametrize(("free", "status"), [(10**8, "warning"), (10**7, "broken")])
def test_it_says_so_when_the_disk_is_nearly_full(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    set_free_disk(monkeypatch, free)
    found = Examined(make_app)
    assert found.says("disk")[0] == status
    assert found.exit_code == (status == "broken")


def test_it_counts_what_there_is_to_learn_from(make_app: MakeApp) -> None:
    assert Examined(make_app).says("choices")[1] == "0 to learn from at each start"
    log = {"movieTitle": "Mother", "clientSentAt": "2025-10-01T12:00:00Z"}
    assert make_app().test_client().post("/inference/log", json=log).status_code == 200
    said = Examined(make_app).says("choices")
    assert said == ("ok", "1 to learn from at each start, the newest of 2025-10-01")


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_it_shows_no_password(make_app: MakeApp, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite3?password=hush"
    found = Examined(make_app, database_url=url)
    assert found.says("database") == ("broken", f"{tmp_path}/a.sqlite3 does not exist")
    assert "hush" not in found.output
