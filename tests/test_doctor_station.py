from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from moodflix.doctor import checks
from moodflix.perception import face
from moodflix.store.database import Database
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
    none_yet = "no model yet: films count by popularity"
    assert Examined(make_app).says("choices") == ("ok", f"0 to learn from; {none_yet}")
    log = {"movieTitle": "Mother", "clientSentAt": "2025-10-01T12:00:00Z"}
    assert make_app().test_client().post("/inference/log", json=log).status_code == 200
    said = Examined(make_app).says("choices")
    assert said == ("ok", f"1 to learn from, the newest of 2025-10-01; {none_yet}")


def test_it_tells_the_age_of_the_model(make_app: MakeApp, instance: Path) -> None:
    log = {"movieTitle": "Mother", "clientSentAt": "2025-10-01T12:00:00Z"}
    assert make_app().test_client().post("/inference/log", json=log).status_code == 200
    assert make_app().test_cli_runner().invoke(args=["model", "train"]).exit_code == 0
    status, found = Examined(make_app).says("choices")
    learned = "1 to learn from, the newest of .*; model 1 learned 1 choices, .*, made 0.0 days ago"
    assert status == "ok"
    assert re.fullmatch(learned, found)
    (instance / "models" / "000001.npz").write_bytes(b"not a model")
    damaged = Examined(make_app)
    assert damaged.says("choices")[0] == "warning"
    assert "models/000001.npz is refused: damaged" in damaged.says("choices")[1]
    assert damaged.remedy("choices") == "flask model train"


def test_it_says_how_to_read_faces_and_voices(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "nets_problem", lambda: "the nets are away; run: npm ci")
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    found = Examined(make_app)
    assert (found.exit_code, found.wrong()) == (0, {"face", "voice"})
    assert found.says("face") == ("warning", "the nets are away")
    assert found.remedy("face") == "npm ci"
    assert found.says("voice") == ("warning", "of recorded clips only WAV is read")
    assert found.remedy("voice").endswith(' -m pip install "moodflix[voice]"')


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_it_shows_no_password(make_app: MakeApp, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite3?password=hush"
    found = Examined(make_app, database_url=url)
    assert found.says("database") == ("broken", f"{tmp_path}/a.sqlite3 does not exist")
    assert "hush" not in found.output


@pytest.mark.parametrize(
    ("zone", "system", "name", "status"),
    [
        (None, "", "UTC", "warning"),
        (None, "", "KST", "ok"),
        (None, "UTC", "UTC", "ok"),
        ("Asia/Seoul", "", "UTC", "ok"),
    ],
)
def test_it_says_so_when_nobody_set_a_time_zone(
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    zone: str | None,
    system: str,
    name: str,
    status: str,
) -> None:
    monkeypatch.setenv("TZ", system)
    monkeypatch.setattr("time.tzname", (name, name))
    found = Examined(make_app, timezone=zone)
    assert found.says("clock")[0] == status
