from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from moodflix.store.database import Database
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama


def ready(client: FlaskClient, status: int) -> dict[str, Any]:
    answered = client.get("/readyz")
    assert answered.status_code == status
    got: dict[str, Any] = answered.get_json()
    assert got.keys() == {"status", "database", "recommenders"}
    assert got["status"] == ("ready" if status == 200 else "not ready")
    assert got["recommenders"].keys() == {"catalogue", "context", "llm"}
    for part in (got["database"], *got["recommenders"].values()):
        assert part.keys() == {"status", "detail"}
    return got


def test_it_is_alive_without_touching_the_database(client: FlaskClient, instance: Path) -> None:
    (instance / "moodflix.sqlite3").unlink()
    answered = client.get("/healthz")
    assert (answered.status_code, answered.get_json()) == (200, {"status": "ok"})
    assert list(instance.iterdir()) == []


def test_it_is_ready_on_a_migrated_database(client: FlaskClient) -> None:
    got = ready(client, 200)
    assert got["database"] == {"status": "up", "detail": ""}
    parts = got["recommenders"]
    assert parts["catalogue"]["status"] == "up"
    assert int(parts["catalogue"]["detail"].split()[0]) >= 400
    assert parts["context"]["status"] == "empty"
    assert parts["llm"]["status"] == "off"


def test_an_absent_llm_is_reported_and_does_not_make_it_unready(make_app: MakeApp) -> None:
    llm = ready(make_app(llm="auto").test_client(), 200)["recommenders"]["llm"]
    assert llm["status"] != "up"
    assert llm["detail"]


def test_a_present_llm_is_reported(make_app: MakeApp, ollama: FakeOllama) -> None:
    llm = ready(make_app(llm="auto").test_client(), 200)["recommenders"]["llm"]
    assert llm["status"] == "up"


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        ("DROP TABLE alembic_version", "run: flask db upgrade"),
        ("UPDATE alembic_version SET version_num = 'fffffffffffe'", "doesn't know"),
    ],
)
def test_an_unmigrated_or_newer_database_is_not_ready(
    client: FlaskClient, database: Database, damage: str, detail: str
) -> None:
    with database.write() as session:
        session.execute(text(damage))
    down = ready(client, 503)["database"]
    assert down["status"] == "down"
    assert detail in down["detail"]


def test_a_missing_database_is_not_ready_and_is_not_made(
    client: FlaskClient, instance: Path
) -> None:
    (instance / "moodflix.sqlite3").unlink()
    got = ready(client, 503)
    assert got["database"]["status"] == "down"
    assert not (instance / "moodflix.sqlite3").exists()
    assert str(instance) not in str(got)


@pytest.mark.parametrize("sent", ["a", "f" * 64, "x-1_2.3"])
def test_a_request_keeps_the_id_that_a_proxy_gave_it(client: FlaskClient, sent: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-ID": sent})
    assert answered.headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", " ", "f" * 65, "a b", "a\u00e9", '"', "%0a", "{}"])
def test_another_id_is_replaced(client: FlaskClient, sent: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-ID": sent})
    assert re.fullmatch("[0-9a-f]{32}", answered.headers["X-Request-ID"])
