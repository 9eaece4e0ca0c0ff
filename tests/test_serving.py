from __future__ import annotations

import importlib
import json
import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from moodflix.store.database import Database
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama, Handler, answer, says
from tests.server import GunicornServer, Serve, ServeGunicorn, await_condition

TOKEN = "open sesame"


@pytest.fixture(scope="module")
def shared(serve_shared_gunicorn: ServeGunicorn) -> GunicornServer:
    """Two workers that several tests use."""
    return serve_shared_gunicorn(workers=2, api_token=TOKEN)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """gunicorn's settings and hooks; they read the environment when first imported."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    return importlib.import_module("moodflix.serving")


def start_with(hooks: ModuleType, app: Any) -> None:
    """What gunicorn does first with an app; no address is looked at."""
    hooks.on_starting(
        SimpleNamespace(app=SimpleNamespace(wsgi=lambda: app), cfg=SimpleNamespace(address=[]))
    )


@pytest.fixture
def slow(ollama: FakeOllama) -> Iterator[FakeOllama]:
    """An Ollama whose answers come only once the test sets `released`."""

    def behave(handler: Handler) -> None:
        handler.wait_for_release()
        says(answer())(handler)

    ollama.default = behave
    yield ollama
    ollama.released.set()


def await_calls(ollama: FakeOllama, times: int) -> None:
    await_condition(lambda: len(ollama.requests) >= times, f"{times} calls of the LLM")


def test_a_slow_llm_delays_neither_logs_nor_reads(
    serve_gunicorn: ServeGunicorn, slow: FakeOllama
) -> None:
    served = serve_gunicorn(llm="auto", threads=8, llm_parallel=4, llm_queue=0)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(served.post, "/inference", {}) for _ in range(20)]
        # Four ask the LLM; the others are answered without it.
        await_calls(slow, 4)
        for place in range(50):
            assert served.post("/inference/log", {"movieTitle": f"Film {place}"}).is_success
            assert len(served.get("/inference/log?limit=1").json()) == 1
        assert not slow.released.is_set()
        slow.released.set()
        got = [each.result().json() for each in answers]
    assert len(slow.requests) == 4
    statuses = sorted(each["llm"]["status"] for each in got)
    assert statuses == ["unavailable"] * 16 + ["used"] * 4
    assert all(each["movies"] for each in got)


def test_a_graceful_stop_finishes_what_is_in_flight_and_what_is_to_be_stored(
    serve_gunicorn: ServeGunicorn, slow: FakeOllama, instance: Path
) -> None:
    served = serve_gunicorn(llm="ollama")
    database = instance / "moodflix.sqlite3"
    with (
        closing(sqlite3.connect(database, isolation_level=None)) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        connection.execute("BEGIN IMMEDIATE")
        answering = pool.submit(served.post, "/inference", {})
        await_calls(slow, 1)
        served.process.send_signal(signal.SIGTERM)
        await_condition(lambda: "Handling signal: term" in served.log, "the signal")
        slow.released.set()
        got = answering.result()
        connection.execute("ROLLBACK")
    assert got.status_code == 200
    assert got.json()["primary_llm"]
    assert served.wait_until_ended() == 0
    with closing(sqlite3.connect(database)) as connection:
        stored = connection.execute("SELECT id FROM answers").fetchall()
    assert stored == [(got.json()["inferenceId"],)]


def test_it_stops_after_the_idle_timeout_with_status_0(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn(idle_timeout=1)
    assert served.wait_until_ended() == 0
    assert "No Request, exiting..." in served.log


def test_an_answer_in_flight_is_not_idleness(
    hooks: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    now = 100.0
    stopped: list[tuple[float, int]] = []

    def sleep(seconds: float) -> None:
        """The request takes three times the idle timeout."""
        nonlocal now
        now += seconds
        assert "No Request" not in caplog.text
        if now == 103:
            hooks.post_request(None, hooks, None, None)

    monkeypatch.setattr(hooks, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    monkeypatch.setattr(hooks, "_settings", SimpleNamespace(idle_timeout=1))
    monkeypatch.setattr(hooks.os, "kill", lambda _, number: stopped.append((now, number)))
    hooks.pre_request(None, hooks)
    hooks._stop_when_idle()  # noqa: SLF001 - the thread that a worker starts
    assert stopped == [(104, signal.SIGTERM)]
    assert "No Request, exiting..." in caplog.text


@pytest.mark.parametrize("revision", [None, "9999"])
def test_a_database_that_does_not_fit_ends_the_start_with_one_line(
    hooks: ModuleType, make_app: MakeApp, database: Database, revision: str | None
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if revision:
            connection.execute(text(f"INSERT INTO alembic_version VALUES ('{revision}')"))
    with pytest.raises(SystemExit, match=r"^moodflix: the database is[^\n]*$") as ended:
        start_with(hooks, make_app())
    assert ("flask db upgrade" if revision is None else "9999") in str(ended.value)


@pytest.mark.parametrize("named", [("certfile",), ("keyfile",), ("certfile", "keyfile")])
def test_a_certificate_that_cannot_be_used_ends_the_start_with_one_line(
    hooks: ModuleType,
    make_app: MakeApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: tuple[str, ...],
) -> None:
    for each in named:
        monkeypatch.setattr(hooks, each, str(tmp_path / "nowhere.pem"))
    with pytest.raises(SystemExit, match=r"^moodflix: [^\n]*MOODFLIX_TLS_CERT[^\n]*$"):
        start_with(hooks, make_app())


def test_a_taken_port_is_one_line_with_the_remedy(instance: Path, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        served = GunicornServer({"instance": instance, "port": port}, tmp_path / "log")
        assert served.wait_until_ended() == 1
        served.stop()
    last = served.log.splitlines()[-1]
    assert last.startswith(f"moodflix: port {port} of 127.0.0.1 can't be used")
    assert f"MOODFLIX_PORT={port + 1} make run" in last
    assert "Traceback" not in served.log


def test_it_learns_from_the_log_at_the_start(serve: Serve) -> None:
    first = serve(retrain_rows=1)
    for _ in range(30):
        assert first.post("/inference/log", {"movieTitle": "A Film Of Ours"}).is_success
    first.stop()
    second = serve()

    def learned() -> bool:
        context = second.get("/readyz").json()["recommenders"]["context"]
        return bool(context["detail"] == "learned from 30 choices")

    await_condition(learned, "the model")
    got = second.post("/inference", {}).json()
    picks = {pick["title"]: pick for pick in got["picks"]}
    assert picks["A Film Of Ours"]["sources"] == {"context": 1}
    assert picks["A Film Of Ours"]["why"] == "Chosen 30 times at this station."


LINE = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:,]+ INFO moodflix\.request: "
    r"(?P<id>[0-9a-f]{32}) (?P<method>\w+) (?P<route>\S+) (?P<status>\d+) (?P<seconds>[\d.]+)s "
    r"llm=(?P<llm>\S+)(?: .*)?$",
    re.MULTILINE,
)


def test_it_writes_one_readable_line_a_request_and_no_body(shared: GunicornServer) -> None:
    secret = "a-secret-nobody-may-read"
    body = {"text": secret, "images": [secret], "audio": secret}
    answered = [
        shared.post("/inference", body),
        shared.get(f"/{secret}"),
        shared.get(f"/inference/log?limit={secret}"),
    ]
    ids = [each.headers["X-Request-ID"] for each in answered]
    await_condition(lambda: all(each in shared.log for each in ids), "the lines")
    lines = {found["id"]: found for found in LINE.finditer(shared.log)}
    line = lines[ids[0]]
    assert (line["method"], line["route"]) == ("POST", "/inference")
    assert (line["status"], line["llm"]) == ("200", "off")
    assert [lines[each]["route"] for each in ids].count("-") == 1
    assert secret not in shared.log


def test_it_writes_json_lines_when_asked(serve: Serve) -> None:
    served = serve(log_format="json")
    answered = served.post("/inference", {})
    served.stop()
    lines = [json.loads(line) for line in served.log.splitlines()]
    [line] = [each for each in lines if each.get("id") == answered.headers["X-Request-ID"]]
    assert line["route"] == "/inference"
    assert line["status"] == 200
    assert line["llm"] == "off"
    assert line["seconds"] >= 0


def test_two_workers_serve_one_database(shared: GunicornServer) -> None:
    titles = [f"Film {place}" for place in range(40)]
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda title: shared.post("/inference/log", {"movieTitle": title}), titles)
        assert all(each.is_success for each in done)
    rows = [row["movieTitle"] for row in shared.get("/inference/log?limit=100").json()]
    assert sorted(title for title in rows if title.startswith("Film ")) == sorted(titles)


def test_workers_share_the_key_of_logins(shared: GunicornServer) -> None:
    with shared.connect() as http:
        assert http.post("/dashboard/login", data={"token": TOKEN}).status_code == 303
        cookies = http.cookies
    for _ in range(12):
        # A connection each, so that every worker is asked.
        with shared.connect() as http:
            http.cookies = cookies
            assert http.get("/dashboard/data/choices").status_code == 200


def test_a_body_past_the_bound_gets_its_413(shared: GunicornServer) -> None:
    refused = shared.http.post("/inference", content=b" " * (17 * 1024 * 1024))
    assert refused.status_code == 413
    assert refused.json()["error"] == "Request Entity Too Large"
    assert refused.headers["Access-Control-Allow-Origin"] == "*"

    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 1024 * 1024

    assert shared.http.post("/inference", content=chunks()).status_code == 413
    # gunicorn closes a connection whose body it did not read to the end.
    with shared.connect() as http:
        assert http.post("/inference", json={}).is_success


def test_nothing_crosses_the_fork(shared: GunicornServer) -> None:
    assert shared.post("/inference/log", {"movieTitle": "Mother"}).is_success
    arbiter = Path(f"/proc/{shared.pid}")
    assert len(list((arbiter / "task").iterdir())) == 1
    opened = {str(each.readlink()) for each in (arbiter / "fd").iterdir()}
    # The log stands in the instance folder and is the arbiter's own.
    opened.remove(str(shared.log_path))
    # The folder itself is open: its lock shows that a station runs.
    opened.remove(str(shared.log_path.parent))
    assert [name for name in opened if name.startswith(str(shared.log_path.parent))] == []
