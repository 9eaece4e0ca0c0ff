"""Something else holds the database's write lock: an import, a backup, an open sqlite3 shell."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, select

from moodflix.errors import DatabaseBusyError, DatabaseUnavailableError
from moodflix.store.database import Database
from moodflix.store.models import Answer, Feedback, LogEntry
from tests.server import PATIENCE, await_condition

VISITOR = "a-visitor"


@contextmanager
def locked(instance: Path) -> Iterator[None]:
    """Hold the write lock from a connection of its own."""
    connection = sqlite3.connect(instance / "moodflix.sqlite3", isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for the write lock."""
    monkeypatch.setattr("moodflix.store.database.COMMIT_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moodflix.store.writer._ATTEMPT_SECONDS", 0.05)


def infer(client: FlaskClient) -> dict[str, Any]:
    answered = client.post("/inference", json={"visitor": VISITOR})
    assert answered.status_code == 200
    got: dict[str, Any] = answered.get_json()
    assert len(got["movies"]) == 10
    return got


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.query(table).count()


def test_people_get_films_and_the_answers_are_stored_later_in_order(
    client: FlaskClient, instance: Path, database: Database
) -> None:
    with locked(instance):
        first, second = infer(client), infer(client)
        assert first["warnings"] == second["warnings"] == []
        assert count(database, Answer) == 0
        detail = client.get("/readyz").get_json()["database"]["detail"]
        assert detail == "2 answers wait to be stored"
    database.writer.flush(60)
    with database.read() as session:
        rows = session.query(Answer).order_by(Answer.answered_at).all()
        assert [row.id for row in rows] == [first["inferenceId"], second["inferenceId"]]
        assert len(rows[0].picks) == 10
    assert client.get("/readyz").get_json()["database"]["detail"] == ""


@pytest.mark.parametrize("names_it", [True, False])
@pytest.mark.parametrize("path", ["log", "feedback"])
def test_what_is_said_of_an_answer_that_waits_is_linked_to_it(
    client: FlaskClient,
    instance: Path,
    database: Database,
    path: str,
    names_it: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(instance):
            answer = infer(client)
            body = {"movieTitle": answer["movies"][0], "visitor": VISITOR, "verdict": "loved"}
            if names_it:
                body["inferenceId"] = answer["inferenceId"]
            sent = pool.submit(client.post, f"/inference/{path}", json=body)
        assert sent.result().status_code == 200
    with database.read() as session:
        column = {"log": LogEntry.answer_id, "feedback": Feedback.answer_id}[path]
        assert session.scalars(select(column)).all() == [answer["inferenceId"]]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("path", ["log", "feedback"])
def test_a_choice_that_cannot_be_saved_in_time_is_refused_whole(
    client: FlaskClient,
    instance: Path,
    database: Database,
    path: str,
    waits: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    body = {"movieTitle": "Mother", "visitor": VISITOR, "verdict": "loved"}
    with locked(instance):
        if waits:
            infer(client)
        refused = client.post(f"/inference/{path}", json=body)
        assert refused.status_code == 500
        assert refused.get_json() == {
            "error": "Database failed: the database is busy: something else writes to it"
        }
        assert int(refused.headers["Retry-After"]) > 0
    database.writer.flush(60)
    assert count(database, LogEntry) == count(database, Feedback) == 0
    assert client.post(f"/inference/{path}", json=body).status_code == 200
    assert count(database, LogEntry) + count(database, Feedback) == 1


def test_of_too_many_answers_the_last_are_not_stored_and_counted(
    client: FlaskClient, instance: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodflix.store.writer.MAX_PENDING", 2)
    with locked(instance):
        kept = [infer(client)["inferenceId"] for _ in range(2)]
        for times in (1, 2):
            dropped = infer(client)
            assert dropped["inferenceId"] is None
            [warning] = dropped["warnings"]
            assert warning.startswith("this answer was not stored: the database is busy and 2 ")
            assert warning.endswith(f"; {times} were not stored so far")
    database.writer.flush(60)
    with database.read() as session:
        assert {row.id for row in session.query(Answer)} == set(kept)
    detail = client.get("/readyz").get_json()["database"]["detail"]
    assert detail == "2 answers were not stored"


def test_closing_does_not_wait_for_ever(
    client: FlaskClient,
    instance: Path,
    database: Database,
    impatient: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    del impatient
    with locked(instance):
        infer(client)
        database.close()
        assert "1 answers are not stored: the database is busy" in caplog.text
    database.writer.flush(60)


def test_a_write_that_fails_while_nobody_waits_is_counted(
    instance: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(connection: Connection) -> None:
        del connection
        raise DatabaseUnavailableError("the disk is full")

    with locked(instance):
        database.writer.submit(fail)
    database.writer.flush(60)
    assert database.writer.dropped == 1
    assert caplog.messages == ["1 answers were not stored: the disk is full"]


def test_a_fault_in_one_write_does_not_hold_up_the_next(database: Database) -> None:
    done: list[Connection] = []
    with pytest.raises(ZeroDivisionError):
        database.writer.submit(lambda _: 1 / 0)
    database.writer.submit(done.append)
    assert len(done) == 1


def test_no_free_connection_is_a_busy_database(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodflix.store.database.COMMIT_SECONDS", 0.05)
    small = Database(f"sqlite:///{instance}/moodflix.sqlite3", pool_size=2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(small.read()).connection()
        with pytest.raises(DatabaseBusyError, match="every connection"), small.read() as session:
            session.connection()
    small.engine.dispose()


def test_writes_that_wait_share_a_transaction_and_none_another_s_fault(
    instance: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodflix.store.writer._ATTEMPT_SECONDS", PATIENCE)
    connections: dict[str, Connection] = {}

    def note(name: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            connections[name] = connection
            if name == "bad":
                raise ZeroDivisionError

        return work

    def commit(*names: str) -> dict[str, Future[None]]:
        """Commit at once, by threads that wait for the lock together."""
        with locked(instance):
            first = pool.submit(database.commit, lambda _: None)
            await_condition(lambda: bool(writer._batch), "the first to begin")  # noqa: SLF001
            sent = {name: pool.submit(database.commit, note(name)) for name in names}
            await_condition(lambda: len(writer._queue) == 1 + len(names), "all")  # noqa: SLF001
        first.result()
        return sent

    writer = database.writer  # who waits is not seen from outside
    with ThreadPoolExecutor(8) as pool:
        for each in commit("one", "two", "three").values():
            each.result()
        assert len({*map(id, connections.values())}) == 1
        sent = commit("good", "bad", "fine")
        with pytest.raises(ZeroDivisionError):
            sent["bad"].result()
        sent["good"].result()
        sent["fine"].result()
    assert connections["good"] is not connections["fine"]
